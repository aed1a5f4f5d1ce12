// What becomes of a job that is moved, and the ledger of it: it stays unfinished for some seconds, then some jobs are
// finished while others may be added, then all are finished. `test:entered` counts jobs after they were added,
// `test:leaving` those that are about to be finished.
"use strict";

const Redis = require("ioredis");
const { connection } = require("./book");

// Forward and back are two moves: no more than a thousand in a second.
const PACE = 2;
const CHANGING = 1500;
const BETWEEN = 25;

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

exports.Moving = class {
  constructor(jobs, seconds, adds) {
    Object.assign(this, { jobs, seconds, adds, book: new Redis(connection), taken: 0, left: 0, next: 0, changed: 0 });
    this.fail = (error) => {
      console.error(error);
      process.exit(1);
    };
  }

  // Called once for each time that a job is taken: whether it is to be finished now.
  async isLast() {
    this.taken += 1;
    this.next = Math.max(this.next + PACE, Date.now() - 10 * PACE);
    if (this.next > Date.now()) {
      await pause(this.next - Date.now());
    }
    const changing = Date.now() - this.start - 1000 * this.seconds;
    if (changing < 0) {
      return false;
    }
    this.moves ??= 2 * this.taken;
    if (changing < CHANGING) {
      if (Date.now() - this.changed < BETWEEN || this.entered - this.left < 2) {
        return false;
      }
      this.changed = Date.now();
      if (this.adds) {
        await this.add();
      }
    }
    this.left += 1;
    await this.book.incr("test:leaving");
    return true;
  }

  async add() {
    this.entered = (this.entered ?? 0) + 1;
    await this.framework.add();
    await this.book.incr("test:entered");
  }

  async run(framework) {
    this.framework = framework;
    for (let number = 0; number < this.jobs; number++) {
      await this.add();
    }
    while (!(await this.book.exists("test:release"))) {
      await pause(20);
    }
    this.start = Date.now();
    this.framework.start();
    while (!this.left || this.left < this.entered) {
      await pause(20);
    }
    // What finishes the last job comes to its end.
    await pause(200);
    await this.book.set("test:moves", Math.round(this.moves / this.seconds));
    process.exit(0);
  }
};
