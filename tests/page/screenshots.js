// screenshots.js: writes docs/screenshots/page-{light,dark,phone}.png: a cache under the load of a web application for some
// minutes. It is too small for what is asked of it, and one of its subscribers hangs, so that the page has something to say.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { launch, open } = require('./browser');
const { Server, pause, removeAll } = require('./server');

const SECONDS = Number(process.env.SCREENSHOT_SECONDS || 150);
const BIGGEST = 200_000; // bytes of a picture
const folder = path.join(__dirname, '../../docs/screenshots');
const SIGHTS = [
  ['page-light', { viewport: { width: 1280, height: 1130 }, colorScheme: 'light' }],
  ['page-dark', { viewport: { width: 1280, height: 1130 }, colorScheme: 'dark' }],
  ['page-phone', { viewport: { width: 390, height: 780 }, colorScheme: 'light', deviceScaleFactor: 2, hasTouch: true }],
];

// Few keys are asked for often, most seldom.
const someKey = () => Math.floor(40_000 * Math.random() ** 3);

function someCommand() {
  const key = someKey(), chance = Math.random();
  if (chance < 0.62) return ['GET', `views/products/${key}`];
  if (chance < 0.72) return ['HGET', `user:${key % 5000}`, 'email'];
  if (chance < 0.78) return ['INCR', `throttle:${key % 800}`];
  if (chance < 0.82) return ['ZADD', 'trending', String(key % 97), `product:${key % 3000}`];
  if (chance < 0.85) return ['ZRANK', 'trending', `product:${key % 3000}`];
  if (chance < 0.88) return ['PUBLISH', `chat:${key % 20}`, '{"type":"message","body":"See you at the trivet"}'];
  if (chance < 0.9) return ['EVAL', "return redis.call('EXISTS', KEYS[1])", '1', `lock:${key % 50}`];
  if (chance < 0.93) return ['HSET', `user:${key % 5000}`, 'name', 'Ada', 'email', 'ada@example.org', 'visits', String(key)];
  if (chance < 0.96) return ['SET', `throttle:${key % 800}`, '1', 'EX', String(5 + (key % 20))];
  return ['GET', `views/products/${key}`];
}

const store = (connection, key) => connection.send('SETEX', `views/products/${key}`, '900', 'x'.repeat(600 + (key % 1800)));

// The cache as an hour of work leaves it: full.
async function fill(server) {
  const connection = server.connect();
  for (let i = 0; i < 80; i++) await Promise.all(Array.from({ length: 200 }, () => store(connection, someKey())));
  connection.close();
}

// What was not found is made and stored, as a cache is used. The load comes in waves.
async function use(server, isOver, phase) {
  const connection = server.connect();
  while (!isOver()) {
    const wave = 1 + 0.5 * Math.sin(Date.now() / 15_000 + phase) + 0.3 * Math.random();
    const commands = Array.from({ length: Math.round(45 * wave) }, someCommand);
    const replies = await Promise.all(commands.map((words) => connection.send(...words)));
    const missing = commands.filter(([name], i) => name === 'GET' && replies[i] === '$-1');
    await Promise.all(missing.map(([, key]) => store(connection, Number(key.split('/')[2]))));
    await pause(25);
  }
  connection.close();
}

function subscribe(server, channel) {
  const connection = server.connect();
  connection.send('SUBSCRIBE', channel).catch(() => {});
  return connection;
}

// One that reads nothing is cut when its output has become too long.
async function hang(server, until) {
  await pause((until - Date.now()) / 2);
  const hung = subscribe(server, 'reports');
  const publisher = server.connect();
  while ((await publisher.send('PUBLISH', 'reports', '')) !== ':1') await pause(20);
  hung.stall();
  while ((await publisher.send('PUBLISH', 'reports', 'r'.repeat(400_000))) !== ':0');
}

async function take(browser, server, until) {
  const pages = await Promise.all(SIGHTS.map(([, options]) => open(browser, server.url, options)));
  await pause(until - Date.now());
  fs.mkdirSync(folder, { recursive: true });
  for (const [i, [name]] of SIGHTS.entries()) {
    const file = path.join(folder, `${name}.png`);
    await pages[i].screenshot({ path: file });
    assert.deepEqual(pages[i].sins, []);
    const { size } = fs.statSync(file);
    assert.ok(size < BIGGEST, `${name}.png has ${size} bytes`);
    console.log(`${path.relative(process.cwd(), file)}: ${size} bytes`);
  }
}

async function main() {
  const browser = await launch();
  try {
    const server = await Server.start({ maxmemory: '12mb', 'maxmemory-policy': 'allkeys-lru', appendonly: 'no', 'client-output-buffer-limit': 'pubsub 8mb 2mb 60' });
    await fill(server);
    const until = Date.now() + SECONDS * 1000;
    let over = false;
    for (let i = 0; i < 60; i++) subscribe(server, `chat:${i % 20}`);
    for (let i = 0; i < 4; i++) server.connect().send('BLPOP', 'jobs', '0').catch(() => {});
    const load = [0, 1, 2, 3, 4, 5].map((phase) => use(server, () => over, phase / 3));
    await Promise.all([take(browser, server, until).finally(() => (over = true)), hang(server, until), ...load]);
  } finally {
    await browser.close();
    await removeAll();
  }
}

main().then(() => process.exit(0), (error) => {
  console.error(error.stack);
  process.exit(1);
});
