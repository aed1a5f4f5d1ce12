"""What every job does: it says that it began, waits until the test lets jobs end, and says that it ended.

It keeps this beside the framework, so that the test knows what runs without asking what it tests.
"""

import asyncio
import os
import time

import redis

URL = os.environ["TEST_REDIS"]
book = redis.Redis.from_url(URL)


def hold(name):
    book.rpush("test:began", name)
    while not book.exists("test:release"):
        time.sleep(0.05)
    book.rpush("test:ended", name)


async def hold_async(name):
    book.rpush("test:began", name)
    while not book.exists("test:release"):
        await asyncio.sleep(0.05)
    book.rpush("test:ended", name)
