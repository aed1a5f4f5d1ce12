"""Keeps a lease in Redis for each Celery task that runs, for triggers with `leases: penstock`.

Import it where the Celery app is made. It works in every pool: what it starts, it starts in the
process that runs the task. Not needed with task_acks_late and `acks: late`.
"""

import os
import threading
import time

import redis
from celery.signals import task_postrun, task_prerun

LEASE = 60  # seconds; renewed every 20, so a lost worker counts for a minute at most
PREFIX = os.environ.get("PENSTOCK_LEASES", "penstock")
client = redis.Redis.from_url(os.environ["PENSTOCK_LEASES_REDIS"], socket_timeout=5)
running = {}  # (task id, retries): the key of its lease and its name there
lock = threading.Lock()  # so that no renewal brings back a lease that ended
renewer = None


@task_prerun.connect
def begin(task_id, task, **_):
    global renewer
    # With queues that Celery makes by itself, the routing key is the queue's name.
    key = f"{PREFIX}:inflight:{task.request.delivery_info['routing_key']}"
    with lock:
        # A retry has the same task id and may begin before this run has ended.
        lease = running[task_id, task.request.retries] = key, f"{task_id}/{task.request.retries}"
        if renewer is None:
            renewer = threading.Thread(target=renew, daemon=True)
            renewer.start()
        client.zadd(lease[0], {lease[1]: time.time() + LEASE})


@task_postrun.connect
def end(task_id, task, **_):
    with lock:
        lease = running.pop((task_id, task.request.retries), None)
        if lease:
            client.zrem(*lease)


def renew():
    while True:
        time.sleep(LEASE / 3)
        with lock:
            try:
                for key, member in running.values():
                    client.zadd(key, {member: time.time() + LEASE})
                    client.zremrangebyscore(key, "-inf", time.time() - 3600)  # of lost workers
            except redis.RedisError:
                pass  # the next round tries again
