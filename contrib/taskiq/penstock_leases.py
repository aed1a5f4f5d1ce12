"""Keeps a lease in Redis for each taskiq task that runs, for triggers with `leases: penstock`.

    broker = ListQueueBroker(url, queue_name="app")
    broker.add_middlewares(PenstockLeases(url))  # last, so that a lease ends before a retry is sent

Not needed with RedisStreamBroker, where Redis keeps what runs. A thread renews, so that a task which
blocks the event loop keeps its lease.
"""

import asyncio
import logging
import threading
import time

import redis
from taskiq import TaskiqMiddleware

LEASE = 60  # seconds; renewed every 20, so a lost worker counts for a minute at most


class PenstockLeases(TaskiqMiddleware):
    def __init__(self, url, prefix="penstock"):
        super().__init__()
        self.client = redis.Redis.from_url(url, socket_timeout=5)
        self.prefix, self.running, self.renewer = prefix, set(), None
        self.lock = threading.Lock()  # so that no renewal brings back a lease that ended

    async def pre_execute(self, message):
        if self.renewer is None:
            self.renewer = threading.Thread(target=self.renew, daemon=True)
            self.renewer.start()
        await asyncio.to_thread(self.change, self.running.add, message.task_id)
        return message

    async def post_execute(self, message, result):
        await asyncio.to_thread(self.change, self.running.discard, message.task_id)

    async def on_error(self, message, result, exception):
        await self.post_execute(message, result)

    def change(self, how, task_id=None):
        key, now = f"{self.prefix}:inflight:{self.broker.queue_name}", time.time()
        with self.lock:
            how(task_id)
            try:
                if task_id and task_id not in self.running:
                    self.client.zrem(key, task_id)
                elif self.running:
                    self.client.zadd(key, {id: now + LEASE for id in self.running})
                self.client.zremrangebyscore(key, "-inf", now - 3600)  # of lost workers
            except redis.RedisError as error:
                logging.getLogger(__name__).warning("no lease: %s", error)

    def renew(self):
        while True:
            time.sleep(LEASE / 3)
            self.change(lambda _: None)
