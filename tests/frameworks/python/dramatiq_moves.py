"""Messages that Dramatiq's own consumer fetches and requeues, as a worker does that ends."""

import random
import time

import dramatiq_app
from moving import Moving

broker = dramatiq_app.dramatiq.get_broker()
moving = Moving()


def add():
    dramatiq_app.hold.send("job-0")
    moving.added()


for _ in range(moving.jobs):
    add()
moving.begin()
consumer = broker.consume("q", prefetch=3, timeout=10)
while not moving.is_over:
    taken = [message for message in (next(consumer) for _ in range(random.randint(1, 3))) if message]
    back = []
    for message in taken:
        time.sleep(moving.wait())
        if moving.is_last():
            consumer.ack(message)
            if moving.wants_more:
                add()
        else:
            back.append(message)
            consumer.queued_message_ids.discard(message.message_id)
    consumer.requeue(back)
    # What was fetched and not looked at goes back too.
    rest, consumer.message_cache = consumer.message_cache, []
    consumer.requeue([dramatiq_app.dramatiq.Message.decode(data) for data in rest])
moving.end()
