"""A Dramatiq broker and actor. As a script: COUNT [delay in ms] enqueues jobs.

Another worker's messages are taken over two seconds after its last sign of life, and each command looks for
them, where the defaults are a minute and one command of a thousand.
"""

import os
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker

import book

broker = RedisBroker(url=book.URL, heartbeat_timeout=2000, maintenance_chance=1_000_000)
if "TEST_CONTRIB" in os.environ:
    from penstock_ready import PenstockReady

    broker.add_middleware(PenstockReady())
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name="q", time_limit=600_000)
def hold(name):
    book.hold(name)


if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        if len(sys.argv) > 2:
            hold.send_with_options(args=(f"later-{number}",), delay=int(sys.argv[2]))
        else:
            hold.send(f"job-{number}")
