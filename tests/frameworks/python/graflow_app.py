"""Tasks of Graflow without a group. As a script: COUNT enqueues them, worker ARGUMENT... runs Graflow's worker with leases."""

import sys

import redis
from graflow.core.context import ExecutionContext
from graflow.core.graph import TaskGraph
from graflow.core.task import TaskWrapper
from graflow.queue.base import TaskSpec
from graflow.queue.distributed import DistributedTaskQueue

import book


def enqueue(number):
    graph, name = TaskGraph(), f"job-{number}"
    task = TaskWrapper(name, lambda: book.hold(name), register_to_context=False)
    graph.add_node(task, name)
    context = ExecutionContext(graph, start_node=name)
    client = redis.Redis.from_url(book.URL, decode_responses=True)
    queue = DistributedTaskQueue(client, key_prefix="app")
    queue.enqueue(TaskSpec(executable=task, execution_context=context))


def worker():
    import penstock_worker as leases

    # What `python penstock_worker.py` does, with shorter leases.
    leases.LEASE = book.LEASE
    leases.worker.TaskWorker = leases.LeasingWorker
    leases.program.main()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        del sys.argv[1]
        worker()
    else:
        for number in range(int(sys.argv[1])):
            enqueue(number)
