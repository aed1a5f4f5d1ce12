"""Lets taskiq write into each message when it was sent, for `signal: latency` with a ListQueueBroker.

    broker = ListQueueBroker(url, queue_name="app")
    broker.add_middlewares(PenstockPublished())

Wherever tasks are sent, and in the workers too, which send retries. Not needed with RedisStreamBroker, where Redis writes
the time. It is read as long as the broker's formatter is that of JSON, which is the default.
"""

import time

from taskiq import TaskiqMiddleware


class PenstockPublished(TaskiqMiddleware):
    def pre_send(self, message):
        message.labels["published_at"] = time.time()
        return message
