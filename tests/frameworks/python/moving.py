"""What becomes of a job that is moved, and the ledger of it.

It stays unfinished for some seconds, then some jobs are finished while others may be added, then all are finished.
`test:entered` counts jobs after they were added, `test:leaving` those that are about to be finished. The arguments are
JOBS SECONDS [adds].
"""

import sys
import time

import redis

import book

# Forward and back are two moves: no more than a thousand in a second.
PACE = 0.002
CHANGING = 1.5
BETWEEN = 0.025


class Moving:
    def __init__(self):
        self.jobs, self.seconds = int(sys.argv[1]), float(sys.argv[2])
        self.adds = "adds" in sys.argv
        self.ledger = redis.Redis.from_url(book.URL)
        self.entered = self.left = self.taken = self.moves = 0
        self.next = self.changed = 0.0
        # Whether another job is to be added for one that is finished.
        self.wants_more = False

    def added(self):
        """Notes a job that was added."""
        self.wants_more = False
        self.entered += 1
        self.ledger.incr("test:entered")

    def begin(self):
        """Waits until jobs may be moved."""
        while not self.ledger.exists("test:release"):
            time.sleep(0.02)
        self.start = time.time()

    def wait(self):
        """How long a job that was taken is to stay where it is."""
        self.taken += 1
        self.next = max(self.next + PACE, time.time() - 10 * PACE)
        return max(0, self.next - time.time())

    def is_last(self):
        """Whether a job that was taken is to be finished now."""
        changing = time.time() - self.start - self.seconds
        if changing < 0:
            return False
        self.moves = self.moves or 2 * self.taken
        if changing < CHANGING:
            if time.time() - self.changed < BETWEEN or self.entered - self.left < 2:
                return False
            self.changed = time.time()
            self.wants_more = self.adds
        self.left += 1
        self.ledger.incr("test:leaving")
        return True

    @property
    def is_over(self):
        return self.left == self.entered and not self.wants_more

    def end(self):
        """Tells how many moves there were in a second while every job stayed."""
        self.ledger.set("test:moves", round(self.moves / self.seconds))
