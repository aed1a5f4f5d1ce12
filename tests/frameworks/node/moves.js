// Jobs that a framework's own worker moves forward and back: FRAMEWORK JOBS SECONDS [adds]. What becomes of a job is
// for moving.js to say; the moves are the library's.
"use strict";

const { connection } = require("./book");
const { Moving } = require("./moving");

const [framework, jobs, seconds, adds] = process.argv.slice(2);
const moving = new Moving(Number(jobs), Number(seconds), adds === "adds");
const name = "q";
// As often as it takes.
const attempts = 1e9;

const pick = (...ways) => ways[Math.floor(Math.random() * ways.length)];

// A worker's own function throws, or moves its job itself and says so.
function bullmq(library) {
  const { DelayedError, Queue, WaitingError, Worker } = require(library);
  const queue = new Queue(name, { connection });
  const ways = [
    async () => {
      throw new Error("once more");
    },
    async (job, token) => {
      await job.moveToDelayed(Date.now(), token);
      throw new DelayedError();
    },
    async (job, token) => {
      await job.moveToWait(token);
      throw new WaitingError();
    },
  ];
  const work = async (job, token) => {
    if (await moving.isLast()) {
      return;
    }
    // A WaitingError is of BullMQ 5.54 and later.
    await pick(...ways.slice(0, WaitingError ? 3 : 2))(job, token);
  };
  return {
    add: () => queue.add("move", {}, { attempts, removeOnComplete: true }),
    start: () => new Worker(name, work, { connection, concurrency: 4, autorun: true }).on("error", console.error),
  };
}

// Taken and put back by hand, since Bull's loop waits for a tick of its own clock after a retry.
function bull() {
  const Queue = require("bull");
  const queue = new Queue(name, { redis: connection });
  const loop = async () => {
    for (;;) {
      const job = await queue.getNextJob();
      if (!job) {
        continue;
      }
      if (await moving.isLast()) {
        await job.moveToCompleted("done", true, true);
      } else if (pick(true, false)) {
        await job.moveToFailed({ message: "once more" }, true);
      } else {
        await job.moveToDelayed(Date.now(), true);
        await job.promote().catch(() => {});
      }
    }
  };
  return {
    add: () => queue.add({}, { attempts, removeOnComplete: true }),
    start: () => [1, 2].forEach(() => loop().catch(moving.fail)),
  };
}

function beeQueue() {
  const Queue = require("bee-queue");
  const queue = new Queue(name, { redis: connection, removeOnSuccess: true, stallInterval: 60_000 });
  const work = async () => {
    if (!(await moving.isLast())) {
      throw new Error("once more");
    }
  };
  return {
    add: () => queue.createJob({}).retries(attempts).save(),
    start: () => {
      queue.process(4, work);
      queue.on("error", moving.fail);
    },
  };
}

const frameworks = { bull, "bee-queue": beeQueue };
moving.run((frameworks[framework] ?? (() => bullmq(framework)))());
