"""Entries that taskiq's own broker reads, kicks again and acknowledges, as its middlewares for retries do."""

import asyncio

from taskiq.message import BrokerMessage

import taskiq_app
from moving import Moving

broker = taskiq_app.broker


moving = Moving()


async def kick():
    await broker.kick(BrokerMessage(task_id="job-0", task_name="hold", message=b"{}", labels={}))


async def main():
    await broker.startup()
    for _ in range(moving.jobs):
        await kick()
        moving.added()
    moving.begin()
    async for entry in broker.listen():
        await asyncio.sleep(moving.wait())
        if not moving.is_last():
            await kick()
        await entry.ack()
        if moving.wants_more:
            await kick()
            moving.added()
        if moving.is_over:
            break
    moving.end()


asyncio.run(main())
