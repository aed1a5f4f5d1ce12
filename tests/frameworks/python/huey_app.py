"""A Huey of a list, or with TEST_PRIORITY of a sorted set. As a script: COUNT [delay in s] enqueues jobs, counts tells them."""

import json
import os
import struct
import sys
import time

from huey import PriorityRedisHuey, RedisHuey
from huey.serializer import Serializer

import book


class Stamped(Serializer):
    """As docs/frameworks/huey.md has it."""

    def _serialize(self, data):
        return struct.pack(">Q", int(time.time() * 1e6)) + super()._serialize(data)

    def _deserialize(self, data):
        return super()._deserialize(data[8:])


kind = PriorityRedisHuey if os.environ.get("TEST_PRIORITY") else RedisHuey
more = {"serializer": Stamped()} if os.environ.get("TEST_STAMPED") else {}
huey = kind("my-app", url=book.URL, **more)

if book.LEASE:
    import penstock_leases

    penstock_leases.LEASE = book.LEASE
    penstock_leases.install(huey)


@huey.task()
def hold(name):
    book.hold(name)


# The consumer takes a task by the name of its module, and runs nothing of a script.
if __name__ == "__main__":
    from huey_app import hold, huey

    if sys.argv[1] == "counts":
        print(json.dumps({"pending": huey.pending_count(), "scheduled": huey.scheduled_count()}))
    else:
        for number in range(int(sys.argv[1])):
            if len(sys.argv) > 2:
                hold.schedule((f"later-{number}",), delay=float(sys.argv[2]))
            else:
                hold(f"job-{number}")
