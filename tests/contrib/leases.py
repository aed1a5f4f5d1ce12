"""Runs a framework's worker with its snippet of contrib/ and holds what penstock then counts.

    python3 tests/contrib/leases.py celery|huey|taskiq|graflow redis://127.0.0.1:PORT/0 path/to/penstock

needs the framework and redis-py. The Redis is emptied. Four jobs of seven seconds on two slots with
leases of three: two run and two wait, also when the leases were renewed; nothing is left at the end;
and what a killed worker held runs out.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import redis

CONTRIB = pathlib.Path(__file__).parents[2] / "contrib"

APPS = {
    "celery": """
import os, time
from celery import Celery
import penstock_leases
penstock_leases.LEASE = 3
app = Celery("app", broker=os.environ["PENSTOCK_LEASES_REDIS"])
app.conf.task_default_queue = "app"
app.conf.worker_prefetch_multiplier = 1
@app.task
def work():
    time.sleep(7)
enqueue = work.delay
""",
    "huey": """
import os, time
from huey import RedisHuey
import penstock_leases
penstock_leases.LEASE = 3
huey = RedisHuey("a-pp", url=os.environ["PENSTOCK_LEASES_REDIS"])
penstock_leases.install(huey)
@huey.task()
def work():
    time.sleep(7)
enqueue = work
""",
    "taskiq": """
import asyncio, os, time
from taskiq_redis import ListQueueBroker
import penstock_leases
penstock_leases.LEASE = 3
url = os.environ["PENSTOCK_LEASES_REDIS"]
broker = ListQueueBroker(url, queue_name="app")
broker.add_middlewares(penstock_leases.PenstockLeases(url))
@broker.task(task_name="work")
async def work():
    await asyncio.sleep(7)
def enqueue():
    async def kick():
        await broker.startup()
        await work.kiq()
        await broker.shutdown()
    asyncio.run(kick())
""",
    "graflow": """
import os, time
import redis
from graflow.core.context import ExecutionContext
from graflow.core.graph import TaskGraph
from graflow.core.task import TaskWrapper
from graflow.queue.base import TaskSpec
from graflow.queue.distributed import DistributedTaskQueue
def sleep():
    time.sleep(7)
number = 0
def enqueue():
    global number
    number += 1
    graph = TaskGraph()
    name = f"work{number}"
    task = TaskWrapper(name, sleep, register_to_context=False)
    graph.add_node(task, name)
    context = ExecutionContext(graph, start_node=name)
    client = redis.Redis.from_url(os.environ["PENSTOCK_LEASES_REDIS"], decode_responses=True)
    DistributedTaskQueue(client, key_prefix="app").enqueue(TaskSpec(executable=task, execution_context=context))
""",
}


# What `python penstock_worker.py` does, with shorter leases.
GRAFLOW = """
import penstock_worker as leases
leases.LEASE = 3
leases.worker.TaskWorker = leases.LeasingWorker
leases.program.main()
"""


def worker(framework, url):
    tools = pathlib.Path(sys.executable).parent
    address = url.removeprefix("redis://").split("/")[0].split(":")
    return {
        "celery": [tools / "celery", "-A", "app", "worker", "-c", "2"],
        "huey": [tools / "huey_consumer", "app.huey", "-w", "2", "-k", "process"],
        "taskiq": [tools / "taskiq", "worker", "app:broker", "-w", "1", "--max-async-tasks", "2"],
        "graflow": [sys.executable, "-c", GRAFLOW, "--redis-host", address[0], "--redis-port", address[1],
                    "--redis-key-prefix", "app", "--max-concurrent-tasks", "2"],
    }[framework]


def main(framework, url, penstock):
    redis.Redis.from_url(url).flushall()
    folder = tempfile.mkdtemp()
    pathlib.Path(folder, "app.py").write_text(APPS[framework])
    paths = os.pathsep.join([folder, str(CONTRIB / framework)])
    os.environ |= {"PENSTOCK_LEASES_REDIS": url, "PYTHONPATH": paths}
    sys.path[:0] = paths.split(os.pathsep)

    def counts():
        queue = "a-pp" if framework == "huey" else "app"
        trigger = [f"layout={framework}", f"queue={queue}", "leases=penstock"]
        asked = [penstock, "probe", *trigger, "--redis", url, "--output", "json"]
        found = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)["counts"]
        return int(found["waiting"]), int(found["inFlight"])

    def reach(wanted, within):
        until = time.monotonic() + within
        while (found := counts()) != wanted:
            assert time.monotonic() < until, f"{framework}: {found}, not {wanted}"
            time.sleep(0.1)
        print(f"{framework}: waiting, in flight = {found}", flush=True)

    print("log:", folder, flush=True)
    import app

    for _ in range(4):
        app.enqueue()
    reach((4, 0), 1)
    log = open(pathlib.Path(folder, "log"), "a")
    command = worker(framework, url)
    running = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        # Celery's workers take one job ahead for each slot, and those are in flight to it.
        wanted = (0, 4) if framework == "celery" else (2, 2)
        reach(wanted, 20)
        until = time.monotonic() + 6  # longer than a lease and the second of grace
        while time.monotonic() < until:
            assert (found := counts()) == wanted, f"{framework}: {found} after renewals"
        reach((0, 2), 20)
        reach((0, 0), 20)
        for _ in range(2):
            app.enqueue()
        reach((0, 2), 10)
        os.killpg(running.pid, signal.SIGKILL)
        reach((0, 0), 10)
        print(f"{framework}: all as it should be")
    finally:
        try:
            os.killpg(running.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
