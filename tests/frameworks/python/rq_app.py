"""Jobs of RQ. As a script: enqueue QUEUE COUNT [due], or counts QUEUE."""

import datetime
import json
import sys

from rq import Queue, Retry
from rq.registry import StartedJobRegistry

import book


def hold(name):
    book.hold(name)


# A worker takes a function by the name of its module, and takes none of a script.
if __name__ == "__main__":
    from rq_app import hold

    role, name = sys.argv[1:3]
    queue = Queue(name, connection=book.book)
    if role == "counts":
        registry = StartedJobRegistry(queue=queue)
        # RQ 1 has only a count that cleans up first.
        counts = getattr(registry, "get_job_count", None)
        started = counts(cleanup=False) if counts else registry.count
        print(json.dumps({"queued": queue.count, "started": started}))
    else:
        how = {"job_timeout": 600, "retry": Retry(max=2)}
        for number in range(int(sys.argv[3])):
            if "due" in sys.argv:
                past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
                queue.enqueue_at(past, hold, f"due-{number}", **how)
            else:
                queue.enqueue(hold, f"job-{number}", **how)
                book.enqueued(f"job-{number}")
