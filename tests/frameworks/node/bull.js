// Bull 4: add QUEUE COUNT OPTIONS, counts, pause, resume or work.
"use strict";

const Queue = require("bull");
const { connection, hold } = require("./book");

const [role, name, count, options] = process.argv.slice(2);
// A lock lasts two seconds and not thirty, so that a test can see it end.
const settings = { lockDuration: 2000, lockRenewTime: 1000, stalledInterval: 1000, maxStalledCount: 5 };
const queue = new Queue(name, { redis: connection, settings, metrics: { maxDataPoints: 10 } });

async function main() {
  if (role === "work") {
    queue.on("error", (error) => console.error(error));
    queue.process(2, (job) => hold(job.data.name));
    process.once("SIGTERM", () => queue.close().then(() => process.exit()));
    return;
  }
  await queue.isReady();
  if (role === "add") {
    for (let number = 0; number < Number(count); number++) {
      await queue.add({ name: `job-${number}` }, JSON.parse(options));
    }
  } else if (role === "pause") {
    await queue.pause();
  } else if (role === "resume") {
    await queue.resume();
  } else {
    console.log(JSON.stringify(await queue.getJobCounts()));
  }
  await queue.close();
}

main();
