"""What every job does: it says that it began, waits until the test lets jobs end, and says that it ended.

With TEST_NAP a job waits for nobody and takes that long, in ms, and up to three times as long, by its number. It keeps this beside the framework, so that the test knows what runs without asking what it tests.
"""

import asyncio
import os
import sys
import time
import urllib.parse

import redis

URL = os.environ["TEST_REDIS"]
book = redis.Redis.from_url(URL)


# The snippets of contrib/ have one name, and want to know where their Redis is.
LEASE = float(os.environ.get("TEST_LEASES", 0))
os.environ["PENSTOCK_LEASES_REDIS"] = URL
sys.path.append("../../../contrib/" + os.environ.get("TEST_CONTRIB", ""))

NAP = float(os.environ.get("TEST_NAP", 0)) / 1000


def enqueued(name):
    book.rpush("test:enqueued", name)


def hold(name):
    book.rpush("test:began", name)
    if NAP:
        time.sleep(NAP * (1 + int(name.split("-")[-1]) % 5 / 2))
    else:
        while not book.exists("test:release"):
            time.sleep(0.05)
    book.rpush("test:ended", name)


def compute(name):
    """The same for a job that never gives way to what else its loop has to do, as one that computes."""
    from gevent import monkey

    book.rpush("test:began", name)
    at = urllib.parse.urlsplit(URL)
    plain = monkey.get_original("socket", "socket")()
    plain.connect((at.hostname, at.port))
    released = b""
    while released != b":1\r\n":
        monkey.get_original("time", "sleep")(0.05)
        plain.sendall(b"EXISTS test:release\r\n")
        released = plain.recv(64)
    plain.close()
    book.rpush("test:ended", name)


async def hold_async(name):
    book.rpush("test:began", name)
    while not book.exists("test:release"):
        await asyncio.sleep(0.05)
    book.rpush("test:ended", name)
