"""Writes into each Dramatiq message when it is ready, for triggers with `signal: latency`.

    broker.add_middleware(PenstockReady())  # in producers and workers

Dramatiq itself writes when a message was first enqueued. With a delay that is too early by it, and after a
retry by the run that failed.
"""

import time

import dramatiq


class PenstockReady(dramatiq.Middleware):
    def before_enqueue(self, broker, message, delay):
        message.options["ready_at"] = int(time.time() * 1000) + (delay or 0)
