// What every job does: it says that it began, waits until the test lets jobs end, and says that it ended.
"use strict";

const Redis = require("ioredis");

const port = Number(process.env.TEST_PORT);
let book;

exports.connection = { host: "127.0.0.1", port };

exports.hold = async (name) => {
  book ??= new Redis(exports.connection);
  await book.rpush("test:began", name);
  while (!(await book.exists("test:release"))) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await book.rpush("test:ended", name);
};
