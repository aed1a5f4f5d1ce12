"""Jobs that arq's own worker starts and, since they ask for it, leaves for another try."""

import asyncio

from arq import Retry, Worker, create_pool, func
from arq.connections import RedisSettings
from arq.worker import RetryJob

import book
from moving import Moving

settings = RedisSettings.from_dsn(book.URL)
moving = Moving()


async def main():
    pool = await create_pool(settings)

    async def add():
        await pool.enqueue_job("move", _queue_name="q")
        moving.added()

    async def move(ctx):
        await asyncio.sleep(moving.wait())
        if not moving.is_last():
            raise Retry(defer=0) if moving.taken % 2 else RetryJob()
        if moving.wants_more:
            await add()

    for _ in range(moving.jobs):
        await add()
    moving.begin()
    worker = Worker(
        [func(move, name="move", max_tries=1_000_000, keep_result=0)],
        queue_name="q",
        redis_settings=settings,
        poll_delay=0.005,
        max_jobs=8,
        handle_signals=False,
    )
    working = asyncio.create_task(worker.async_run())
    while not (moving.is_over or working.done()):
        await asyncio.sleep(0.02)
    # What finishes the last job comes to its end.
    await asyncio.sleep(0.2)
    moving.end()
    await worker.close()


asyncio.run(main())
