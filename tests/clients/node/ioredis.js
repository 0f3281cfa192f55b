// ioredis.js MODULE: ioredis as applications use it: version 6 in RESP3, its default, and in RESP2; version 5 in
// RESP2, the only protocol it knows.
'use strict';

const { assert, check, eventually, Inbox, library, main } = require('./checks');
const { Redis, major } = library(process.argv.slice(2));

const port = Number(process.env.CACHE_PORT);
const address = process.env.CACHE_URL.startsWith('rediss:')
  ? { host: 'localhost', port, tls: {} }
  : { host: '127.0.0.1', port };
const clients = [];

function connect(options = {}) {
  const client = new Redis({ ...address, ...options });
  client.on('error', () => {}); // a killed connection reports itself; the checks see its effect
  clients.push(client);
  return client;
}

for (const protocol of major < 6 ? [2] : [3, 2]) {
  const label = `RESP${protocol}`;
  const redis = connect({ protocol, connectionName: `ioredis-${protocol}` });

  check(`${label}: strings, buffers and options`, async () => {
    await redis.flushall();
    assert.equal(await redis.set('k', 'žluť'), 'OK');
    assert.equal(await redis.get('k'), 'žluť');
    const bytes = Buffer.from([0, 13, 10, 255]);
    await redis.set('b', bytes);
    assert.deepEqual(await redis.getBuffer('b'), bytes);
    assert.equal(await redis.get('none'), null);
    assert.equal(await redis.set('k', 'w', 'NX'), null);
    assert.equal(await redis.set('k', 'w', 'EX', 100, 'GET'), 'žluť');
    assert.ok((await redis.ttl('k')) > 0);
    assert.equal(await redis.client('GETNAME'), `ioredis-${protocol}`);
    const big = 'x'.repeat(3_000_000);
    await redis.set('big', big);
    assert.equal(await redis.get('big'), big);
  });

  check(`${label}: the protocol is the one asked for`, async () => {
    const info = await redis.client('INFO');
    assert.match(info, new RegExp(`resp=${protocol}`));
  });

  check(`${label}: MSET with objects, counters, MGET`, async () => {
    await redis.flushall();
    assert.equal(await redis.mset({ a: '1', b: '2' }), 'OK');
    assert.deepEqual(await redis.mget('a', 'b', 'c'), ['1', '2', null]);
    assert.equal(await redis.incrby('a', 41), 42);
    assert.equal(await redis.incrbyfloat('a', 0.1), '42.1');
  });

  check(`${label}: a pipeline and an automatic pipeline`, async () => {
    await redis.flushall();
    const results = await redis.pipeline().set('k', 'v').get('k').incr('k').exec();
    assert.deepEqual(results.slice(0, 2), [[null, 'OK'], [null, 'v']]);
    assert.match(results[2][0].message, /not an integer/);
    const auto = connect({ protocol, enableAutoPipelining: true });
    const numbers = await Promise.all(Array.from({ length: 2000 }, () => auto.incr('n')));
    assert.deepEqual(numbers, Array.from({ length: 2000 }, (_, i) => i + 1));
  });

  check(`${label}: MULTI, and WATCH that another connection breaks`, async () => {
    await redis.flushall();
    assert.deepEqual(await redis.multi().set('k', 1).incr('k').exec(), [[null, 'OK'], [null, 2]]);
    const mine = connect({ protocol });
    await mine.watch('k');
    await redis.set('k', 'changed');
    assert.equal(await mine.multi().set('k', 'mine').exec(), null);
    assert.equal(await redis.get('k'), 'changed');
  });

  check(`${label}: a scan stream finds every key`, async () => {
    await redis.flushall();
    const pipeline = redis.pipeline();
    for (let i = 0; i < 3000; i++) pipeline.set(`user:${i}`, i);
    for (let i = 0; i < 500; i++) pipeline.set(`post:${i}`, i);
    await pipeline.exec();
    const found = new Set();
    for await (const keys of redis.scanStream({ match: 'user:*', count: 100 })) keys.forEach((key) => found.add(key));
    assert.equal(found.size, 3000);
  });

  check(`${label}: pub/sub with patterns, buffers and unsubscribing`, async () => {
    const subscriber = connect({ protocol });
    const inbox = new Inbox();
    subscriber.on('message', (channel, message) => inbox.push([channel, message]));
    subscriber.on('pmessage', (pattern, channel, message) => inbox.push([pattern, channel, message]));
    assert.equal(await subscriber.subscribe('news', 'sport'), 2);
    assert.equal(await subscriber.psubscribe('log.*'), 3);
    assert.equal(await redis.publish('news', 'hello'), 1);
    assert.equal(await redis.publish('log.web', 'hit'), 1);
    assert.deepEqual(await inbox.next(), ['news', 'hello']);
    assert.deepEqual(await inbox.next(), ['log.*', 'log.web', 'hit']);
    for (let i = 0; i < 1000; i++) redis.publish('sport', String(i));
    for (let i = 0; i < 1000; i++) assert.deepEqual(await inbox.next(), ['sport', String(i)]);
    await subscriber.unsubscribe('news');
    assert.equal(await redis.publish('news', 'nobody'), 0);
    await subscriber.unsubscribe('sport'); // by name: without one ioredis waits until no pattern is left either
    await subscriber.punsubscribe('log.*');
    assert.equal(await subscriber.ping(), 'PONG');
  });

  check(`${label}: a killed connection comes back with its subscription and its database`, async () => {
    const subscriber = connect({ protocol, db: 2, connectionName: `victim-${protocol}` });
    const inbox = new Inbox();
    subscriber.on('message', (channel, message) => inbox.push(message));
    await subscriber.subscribe(`lasting-${protocol}`);
    const ready = new Promise((resolve) => subscriber.once('ready', resolve));
    const list = await redis.client('LIST');
    const id = list.split('\n').find((line) => line.includes(`name=victim-${protocol}`)).match(/id=(\d+)/)[1];
    assert.equal(await redis.client('KILL', 'ID', id), 1);
    await ready;
    await eventually('the subscription is back', async () => (await redis.publish(`lasting-${protocol}`, 'again')) === 1);
    assert.equal(await inbox.next(), 'again');
  });

  check(`${label}: errors reject with the server's text`, async () => {
    await assert.rejects(redis.call('NOSUCH', 'a'), /ERR unknown command 'NOSUCH'/);
    await assert.rejects(redis.call('GET'), /ERR wrong number of arguments for 'get' command/);
    await redis.set('k', 'v');
    await assert.rejects(redis.incr('k'), /ERR value is not an integer or out of range/);
  });
}

check('the unix socket and the offline queue', async () => {
  const local = new Redis(process.env.CACHE_SOCKET);
  clients.push(local);
  assert.equal(await local.set('by', 'socket'), 'OK'); // queued before the connection is ready
  assert.equal(await local.get('by'), 'socket');
});

check('a hundred connections at once', async () => {
  const many = Array.from({ length: 100 }, () => connect());
  await Promise.all(many.map((client, i) => client.set(`many:${i}`, i)));
  assert.deepEqual(await Promise.all(many.map((client, i) => client.get(`many:${i}`))), many.map((_, i) => String(i)));
});

main(async () => {
  await Promise.all(clients.map((client) => client.quit()));
});
