"""A Celery application. As a script: QUEUE COUNT [priorities] [computing] enqueues jobs."""

import importlib
import json
import os
import sys

from celery import Celery

import book

if "TEST_PUBLISHES" in os.environ:
    sys.path.append("../../../contrib/celery")
    # It connects itself.
    importlib.import_module("penstock_" + os.environ["TEST_PUBLISHES"])

app = Celery("celery_app", broker=book.URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options=json.loads(os.environ.get("TEST_TRANSPORT", "{}")),
    task_acks_late=os.environ.get("TEST_ACKS") == "late",
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)
app.conf.update(json.loads(os.environ.get("TEST_CONF", "{}")))

if book.LEASE:
    import penstock_leases

    penstock_leases.LEASE = book.LEASE


@app.task
def hold(name):
    book.hold(name)


@app.task
def compute(name):
    book.compute(name)


if __name__ == "__main__":
    queue, count = sys.argv[1], int(sys.argv[2])
    for number in range(count):
        more = {"priority": number % 10} if "priorities" in sys.argv else {}
        task = compute if "computing" in sys.argv else hold
        task.apply_async((f"{queue}-{number}",), queue=queue, **more)
        book.enqueued(f"{queue}-{number}")
