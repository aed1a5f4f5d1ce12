"""Runs Graflow's worker with a lease in Redis for each running task, for triggers with `leases: penstock`.

Start it instead of `python -m graflow.worker.main`, with the same arguments. It overrides two methods
that Graflow does not document (seen in 0.2.0), so look at it again when you upgrade.
"""

import threading
import time

from graflow.worker import main as program
from graflow.worker import worker

LEASE = 60  # seconds; renewed every 20, so a lost worker counts for a minute at most


class LeasingWorker(worker.TaskWorker):
    def __init__(self, queue, *args, prefix="penstock", **kwargs):
        super().__init__(queue, *args, **kwargs)
        self.client, self.key = queue.redis_client, f"{prefix}:inflight:{queue.key_prefix}"
        self.leases = set()
        self.lock = threading.Lock()  # so that no renewal brings back a lease that ended
        threading.Thread(target=self.renew, daemon=True).start()

    def _submit_task(self, task_spec):
        self.change(self.leases.add, task_spec.task_id)  # just after the task left the queue
        super()._submit_task(task_spec)

    def _task_completed(self, task_spec, future):
        super()._task_completed(task_spec, future)
        self.change(self.leases.discard, task_spec.task_id)

    def change(self, how, task=None):
        with self.lock:
            how(task)
            try:
                if task and task not in self.leases:
                    self.client.zrem(self.key, task)
                elif self.leases:
                    self.client.zadd(self.key, {task: time.time() + LEASE for task in self.leases})
                self.client.zremrangebyscore(self.key, "-inf", time.time() - 3600)  # of lost workers
            except Exception as error:
                self._logger.warning("no lease: %s", error)

    def renew(self):
        while True:
            time.sleep(LEASE / 3)
            self.change(lambda _: None)


if __name__ == "__main__":
    worker.TaskWorker = LeasingWorker  # what the program imports when it starts
    program.main()
