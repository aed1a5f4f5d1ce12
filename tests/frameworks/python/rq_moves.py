"""Jobs that the methods of RQ's worker take, prepare and, since they fail, put back. With TEST_QUEUES=two the worker has two queues and takes a job with another command."""

import os
import time

from rq import Queue, Retry, SimpleWorker
from rq.utils import now

import book
from moving import Moving
from rq_app import hold

names = ["q", "r"] if os.environ.get("TEST_QUEUES") == "two" else ["q"]
queues = [Queue(name, connection=book.book) for name in names]
worker = SimpleWorker(queues, connection=book.book)
moving = Moving()

for _ in range(moving.jobs):
    queues[0].enqueue(hold, "job-0", retry=Retry(max=1_000_000))
    moving.added()
moving.begin()
worker.register_birth()
while not moving.is_over:
    found = Queue.dequeue_any(worker.queues, None, connection=book.book)
    if not found:
        continue
    job, queue = found
    # What Worker.execute_job does, and what its horse does before the function is called.
    execution = worker.prepare_execution(job)
    worker.prepare_job_execution(job, remove_from_intermediate_queue=len(names) == 1)
    job.started_at, job.ended_at = now(), now()
    time.sleep(moving.wait())
    if moving.is_last():
        worker.handle_job_success(job, queue, queue.started_job_registry, execution)
    else:
        worker.handle_job_failure(job, queue, queue.started_job_registry, "once more", execution)
worker.register_death()
moving.end()
