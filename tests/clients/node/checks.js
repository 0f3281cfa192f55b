// checks.js: the smallest test runner: named checks one after the other, a non-zero exit status if one failed.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const NOT_FOR_THIS_NODE = 77; // the exit status that tests/clients/run takes for "skipped"
const PATIENCE_MS = Number(process.env.PATIENCE ?? 60) * 1000; // only a hung server is that slow
const checks = [];
let libraryName = '';

// What a library's package.json says. Some do not export it, so it is looked for beside what they do export.
function manifest(name) {
  for (let folder = path.dirname(require.resolve(name)); ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    if (!fs.existsSync(file)) continue;
    const found = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (found.version) return found;
  }
}

// The libraries that the command line names; ends the program if one of them needs a newer Node.
function libraries(names) {
  const found = names.map((name) => ({ name, ...manifest(name) }));
  for (const { name, version, engines = {} } of found) {
    const needed = Number(/\d+/.exec(engines.node ?? '0')[0]);
    if (Number(process.versions.node.split('.')[0]) < needed) {
      console.log(`${name} ${version} needs Node ${needed}; this is ${process.versions.node}`);
      process.exit(NOT_FOR_THIS_NODE);
    }
  }
  libraryName = found.map(({ name, version }) => `${name} ${version}`).join(', ');
  return found.map(({ name, version }) => ({ major: Number(version.split('.')[0]), ...require(name) }));
}

// The client library that the command line names.
const library = ([name]) => libraries([name])[0];

function check(name, run) {
  checks.push({ name, run });
}

function withPatience(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Waits until the function's result is true: for what the server or another connection does in the background.
async function eventually(what, condition) {
  const deadline = Date.now() + PATIENCE_MS / 2;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// A queue of what callbacks deliver: push() from the callback, await next() in the check.
class Inbox {
  #items = [];
  #waiting = [];

  push(item) {
    const waiter = this.#waiting.shift();
    if (waiter) waiter(item);
    else this.#items.push(item);
  }

  next() {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  get size() {
    return this.#items.length;
  }
}

async function main(finish) {
  let failed = 0;
  for (const { name, run } of checks) {
    try {
      await withPatience(run());
    } catch (error) {
      failed++;
      console.error(`FAILED: ${name}\n  ${error.stack}`);
    }
  }
  await withPatience(finish()).catch((error) => {
    failed++;
    console.error(`FAILED: closing the connections\n  ${error.stack}`);
  });
  console.log(`${libraryName}: ${checks.length} checks, ${failed} failed`);
  process.exit(failed === 0 && checks.length > 0 ? 0 : 1);
}

module.exports = { assert, check, eventually, Inbox, libraries, library, main };
