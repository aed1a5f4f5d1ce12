"""Lets each Celery worker say in its heartbeats which queues it serves, for `running: heartbeats`.

Import it where the Celery app is made. Not needed where the trigger names the workers with `pool`.
Queues that a worker is told to serve or to leave later (`celery control add_consumer`) are not told.
It also says how many tasks the worker runs at once, for `silentFor`.
"""

from celery.signals import celeryd_after_setup, worker_ready
from celery.worker import state


@celeryd_after_setup.connect
def publish(instance, **_):
    # What stands in SOFTWARE_INFO is part of every event of the worker itself.
    state.SOFTWARE_INFO["queues"] = sorted(instance.app.amqp.queues.consume_from)


@worker_ready.connect
def publish_slots(sender, **_):
    # With -P solo it is one, whatever the concurrency; other pools may not know it.
    slots = getattr(sender.pool, "num_processes", None)
    if slots:
        state.SOFTWARE_INFO["slots"] = slots
