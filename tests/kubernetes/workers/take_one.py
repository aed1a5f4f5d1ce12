"""A Job: takes one job of the list QUEUE, has it in QUEUE:processing for SECONDS, and ends. Without one it ends at once.

It speaks to Redis itself: a hundred of them start at once, and importing a client takes longer than the job.
"""

import os
import socket
import sys
import time

queue, seconds = sys.argv[1], float(sys.argv[2])
connection = socket.create_connection(("127.0.0.1", int(os.environ["TEST_PORT"])))
replies = connection.makefile("rb")


def ask(words):
    connection.sendall(words.encode() + b"\r\n")
    reply = replies.readline()
    if reply[:1] == b"$" and reply != b"$-1\r\n":
        reply = replies.readline()
    if reply[:1] == b"-":
        sys.exit(reply.decode())
    return reply


job = ask(f"LMOVE {queue} {queue}:processing RIGHT LEFT")
found = job != b"$-1\r\n"
ask(f"INCR test:{queue}:{'took' if found else 'idle'}")
if found:
    time.sleep(seconds)
    ask(f"LREM {queue}:processing 1 {job.decode().strip()}")
