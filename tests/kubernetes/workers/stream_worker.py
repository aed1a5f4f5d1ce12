"""A worker of a stream's group. As STREAM GROUP add COUNT it only adds entries."""

import os
import signal
import sys

import redis

import book

stream, group = sys.argv[1:3]
over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(True))

if sys.argv[3:4] == ["add"]:
    for number in range(int(sys.argv[4])):
        book.book.xadd(stream, {"job": f"job-{number}"})
        book.enqueued(f"job-{number}")
else:
    try:
        book.book.xgroup_create(stream, group, "0", mkstream=True)
    except redis.ResponseError:
        pass  # Another worker has made it.
    while not over:
        found = book.book.xreadgroup(group, str(os.getpid()), {stream: ">"}, count=1, block=500)
        for _, entries in found or []:
            for entry, fields in entries:
                book.hold(fields[b"job"].decode())
                book.book.xack(stream, group, entry)
