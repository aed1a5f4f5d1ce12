"""An arq worker. As a script: COUNT [delay in s] enqueues jobs, counts tells them."""

import asyncio
import json
import sys

from arq import create_pool
from arq.connections import RedisSettings

import book


async def hold(ctx, name):
    await book.hold_async(name)


class WorkerSettings:
    functions = [hold]
    redis_settings = RedisSettings.from_dsn(book.URL)
    max_jobs = 2
    job_timeout = 600
    poll_delay = 0.1


async def main():
    pool = await create_pool(WorkerSettings.redis_settings)
    if sys.argv[1] == "counts":
        print(json.dumps({"queued": len(await pool.queued_jobs())}))
        return
    delay = {"_defer_by": float(sys.argv[2])} if len(sys.argv) > 2 else {}
    for number in range(int(sys.argv[1])):
        await pool.enqueue_job("hold", f"job-{number}", **delay)


if __name__ == "__main__":
    asyncio.run(main())
