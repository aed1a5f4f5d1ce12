"""Messages that kombu's own channel takes as a Celery worker does (BRPOP, and noted in `unacked`), and gives back by each of its ways."""

import random
import socket
import time

from kombu import Connection, Consumer, Queue

import book
from moving import Moving

queue = Queue("q", routing_key="q")
# Any message may be restored at once by who looks for those that nobody acknowledged.
connection = Connection(book.URL, transport_options={"visibility_timeout": 0})
producer = connection.Producer()
moving = Moving()


def add():
    producer.publish({}, routing_key="q", declare=[queue])
    moving.added()


def received(_, message):
    time.sleep(moving.wait())
    channel = message.channel
    if moving.is_last():
        message.ack()
        return
    match random.randrange(3):
        case 0:
            message.requeue()
        case 1:
            # A worker that ends.
            channel.qos.restore_unacked()
        case 2:
            # Another worker, after the visibility timeout.
            channel.qos.restore_visible(interval=1)
            channel.qos._delivered.clear()


for _ in range(moving.jobs):
    add()
moving.begin()
with Consumer(connection.channel(), [queue], callbacks=[received], prefetch_count=1):
    while not moving.is_over:
        try:
            connection.drain_events(timeout=1)
        except socket.timeout:
            pass
moving.end()
