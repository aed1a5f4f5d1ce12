// What every job does: it says that it began, waits until the test lets jobs end, and says that it ended. With
// TEST_NAP a job waits for nobody and takes that long, in ms, and up to three times as long, by its number.
"use strict";

const Redis = require("ioredis");

const port = Number(process.env.TEST_PORT);
const nap = Number(process.env.TEST_NAP ?? 0);
let book;

exports.connection = { host: "127.0.0.1", port };

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

const write = (key, name) => {
  book ??= new Redis(exports.connection);
  return book.rpush(key, name);
};

exports.enqueued = (name) => write("test:enqueued", name);

exports.close = () => book?.quit();

exports.hold = async (name) => {
  await write("test:began", name);
  if (nap) {
    await pause(nap * (1 + (Number(name.split("-").at(-1)) % 5) / 2));
  } else {
    while (!(await book.exists("test:release"))) {
      await pause(50);
    }
  }
  await write("test:ended", name);
};
