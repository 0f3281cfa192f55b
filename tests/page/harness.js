// harness.js: named checks that run beside each other; their names and the sum in the words that tests/run counts.
'use strict';

const PATIENCE_MS = 90_000;
const checks = [];

// Names are words with underscores, as in the tests in C. `run` is given the browser.
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

// Some at a time: a page spends most of its time waiting for the next two seconds.
async function runAll(given, atATime, pattern = '') {
  const left = checks.filter(({ name }) => name.includes(pattern));
  let passed = 0, failed = 0;
  const worker = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      try {
        await withPatience(next.run(given));
        passed++;
        console.log(`ok      ${next.name}`);
      } catch (error) {
        failed++;
        console.log(`FAILED  ${next.name}\n${String(error.stack).replace(/^/gm, '        ')}`);
      }
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  console.log(`[  PASSED  ] ${passed} test(s).`);
  return failed === 0 && passed > 0;
}

module.exports = { check, runAll };
