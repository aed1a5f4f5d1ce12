// BullMQ, of the version that the first argument names: add QUEUE COUNT OPTIONS, counts, pause, resume or work.
"use strict";

const { close, connection, enqueued, hold } = require("./book");

const [library, role, name, count, options] = process.argv.slice(2);
const { Queue, Worker } = require(library);

async function main() {
  if (role === "work") {
    // A lock lasts two seconds and not thirty, so that a test can see it end.
    const worker = new Worker(name, (job) => hold(job.data.name), {
      connection,
      concurrency: 2,
      lockDuration: 2000,
      stalledInterval: 1000,
      maxStalledCount: 5,
      metrics: { maxDataPoints: 10 },
    });
    worker.on("error", (error) => console.error(error));
    // Ends what it works on first, as docs/frameworks/bullmq.md asks for.
    process.once("SIGTERM", async () => {
      await worker.close();
      await close();
    });
    return;
  }
  const queue = new Queue(name, { connection });
  if (role === "add") {
    for (let number = 0; number < Number(count); number++) {
      await queue.add("hold", { name: `job-${number}` }, JSON.parse(options));
      await enqueued(`job-${number}`);
    }
  } else if (role === "pause") {
    await queue.pause();
  } else if (role === "resume") {
    await queue.resume();
  } else {
    console.log(JSON.stringify(await queue.getJobCounts()));
  }
  await queue.close();
  await close();
}

main();
