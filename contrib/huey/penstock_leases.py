"""Keeps a lease in Redis for each Huey task that runs, for triggers with `leases: penstock`.

    huey = RedisHuey("app")
    penstock_leases.install(huey)

It works for threads, processes and greenlets, and uses Huey's own connection.
"""

import threading
import time

LEASE = 60  # seconds; renewed every 20, so a lost worker counts for a minute at most
ENDS = ("complete", "error", "interrupted", "canceled", "timeout", "locked", "rate-limited")


def install(huey, prefix="penstock"):
    # Huey drops characters from its name, and the layout `huey` drops the same ones.
    key = f"{prefix}:inflight:{huey.storage.name}"
    running = set()
    lock = threading.Lock()  # so that no renewal brings back a lease that ended
    renewers = []

    @huey.signal("executing")
    def begin(_signal, task):
        with lock:
            running.add(task.id)
            if not renewers:
                renewers.append(threading.Thread(target=renew, daemon=True))
                renewers[0].start()
            huey.storage.conn.zadd(key, {task.id: time.time() + LEASE})

    @huey.signal(*ENDS)
    def end(_signal, task, *_):
        with lock:
            running.discard(task.id)
            huey.storage.conn.zrem(key, task.id)

    def renew():
        while True:
            time.sleep(LEASE / 3)
            with lock:
                try:
                    if running:
                        huey.storage.conn.zadd(key, {id: time.time() + LEASE for id in running})
                    huey.storage.conn.zremrangebyscore(key, "-inf", time.time() - 3600)  # of lost workers
                except Exception:
                    pass  # the next round tries again
