"""A taskiq broker, of the kind in TEST_BROKER. As a script: COUNT enqueues jobs.

A stream's worker reads one entry at a time and takes over what nobody acknowledged for two seconds, where the
defaults are a hundred and ten minutes.
"""

import asyncio
import os
import sys

from taskiq_redis import ListQueueBroker, RedisStreamBroker

import book

if os.environ.get("TEST_BROKER") == "stream":
    broker = RedisStreamBroker(
        book.URL, queue_name="q", consumer_id="0", xread_count=1, xread_block=200, idle_timeout=2000
    )
else:
    broker = ListQueueBroker(book.URL, queue_name="q")

if book.LEASE:
    import penstock_leases

    penstock_leases.LEASE = book.LEASE
    broker.add_middlewares(penstock_leases.PenstockLeases(book.URL))

if "TEST_PUBLISHES" in os.environ:
    sys.path.append("../../../contrib/taskiq")
    from penstock_published import PenstockPublished

    broker.add_middlewares(PenstockPublished())


@broker.task(task_name="hold")
async def hold(name: str) -> None:
    await book.hold_async(name)


async def main():
    await broker.startup()
    for number in range(int(sys.argv[1])):
        await hold.kiq(f"job-{number}")
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
