// Bee-Queue: add QUEUE COUNT [DELAY in ms], counts or work.
"use strict";

const Queue = require("bee-queue");
const { connection, hold } = require("./book");

const [role, name, count, delay] = process.argv.slice(2);
const isWorker = role === "work";
const queue = new Queue(name, { redis: connection, isWorker, getEvents: isWorker, stallInterval: 1000 });

async function main() {
  await queue.ready();
  if (isWorker) {
    queue.on("error", (error) => console.error(error));
    queue.process(2, (job) => hold(job.data.name));
    // Without this nothing brings back what a dead worker had.
    queue.checkStalledJobs(1000);
    return;
  }
  if (role === "add") {
    for (let number = 0; number < Number(count); number++) {
      const job = queue.createJob({ name: `job-${number}` });
      await (delay ? job.delayUntil(Date.now() + Number(delay)) : job).save();
    }
  } else {
    console.log(JSON.stringify(await queue.checkHealth()));
  }
  await queue.close();
}

main();
