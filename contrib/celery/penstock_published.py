"""Lets Celery write into each message when it was published, for `signal: latency`.

Import it where the Celery app is made, in every application that publishes and in the workers too, which publish
retries and the next task of a chain. A message that comes back after its worker died keeps its time.
"""

import time

from celery.signals import before_task_publish


@before_task_publish.connect
def publish_time(headers=None, **_):
    # Set anew each time: a retry is published with the headers of its task.
    headers["published_at"] = time.time()
