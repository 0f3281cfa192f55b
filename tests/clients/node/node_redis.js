// node_redis.js MODULE: node-redis, version 5 or 6, in RESP3 (with client-side caching) and RESP2.
'use strict';

const { assert, check, eventually, Inbox, library, main } = require('./checks');
const { createClient, createClientPool, BasicClientSideCache, WatchError, RESP_TYPES, major } = library(
  process.argv.slice(2),
);

const url = process.env.CACHE_URL;
const clients = [];

async function connect(options = {}) {
  const client = createClient({ url, ...options });
  client.on('error', () => {}); // a killed connection reports itself; the checks see its effect
  await client.connect();
  clients.push(client);
  return client;
}

for (const RESP of [3, 2]) {
  const label = `RESP${RESP}`;
  let redis;

  check(`${label}: connects with name and database in one go`, async () => {
    redis = await connect({ RESP, name: `node-redis-${RESP}` });
    const other = await connect({ RESP, database: 3, name: 'other' });
    await redis.flushAll();
    await other.set('only-there', '1');
    assert.equal(await redis.get('only-there'), null);
    assert.equal(await redis.clientGetName(), `node-redis-${RESP}`);
    const info = await redis.clientInfo();
    assert.equal(Number(info.resp), RESP);
    assert.equal(info.libName, 'node-redis');
  });

  check(`${label}: strings, buffers and options`, async () => {
    assert.equal(await redis.set('k', 'žluť'), 'OK');
    assert.equal(await redis.get('k'), 'žluť');
    assert.equal(await redis.set('k', 'w', { condition: 'NX' }), null);
    assert.equal(await redis.set('k', 'w', { GET: true, expiration: { type: 'EX', value: 100 } }), 'žluť');
    assert.ok((await redis.ttl('k')) > 0);
    const buffers = redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const bytes = Buffer.from([0, 13, 10, 255]);
    await buffers.set('b', bytes);
    assert.deepEqual(await buffers.get('b'), bytes);
    assert.equal(await redis.getDel('k'), 'w');
    assert.deepEqual(await redis.mGet(['k', 'none']), [null, null]);
    assert.equal(await redis.incrBy('n', 41), 41);
    assert.equal(Number(await redis.incrByFloat('n', 0.5)), 41.5);
  });

  check(`${label}: commands issued together are pipelined in order`, async () => {
    await redis.flushAll();
    const numbers = await Promise.all(Array.from({ length: 3000 }, () => redis.incr('n')));
    assert.deepEqual(numbers, Array.from({ length: 3000 }, (_, i) => i + 1));
  });

  check(`${label}: MULTI, and WATCH that another connection breaks`, async () => {
    assert.deepEqual(await redis.multi().set('k', '1').incr('k').get('none').exec(), ['OK', 2, null]);
    const mine = await connect({ RESP });
    await mine.watch('k');
    await redis.set('k', 'changed');
    await assert.rejects(mine.multi().set('k', 'mine').exec(), WatchError);
    assert.equal(await redis.get('k'), 'changed');
  });

  check(`${label}: the scan iterator finds every key`, async () => {
    await redis.flushAll();
    await redis.mSet(Array.from({ length: 3000 }, (_, i) => [`user:${i}`, String(i)]));
    await redis.mSet(Array.from({ length: 500 }, (_, i) => [`post:${i}`, String(i)]));
    const found = new Set();
    for await (const keys of redis.scanIterator({ MATCH: 'user:*', COUNT: 100, TYPE: 'string' })) {
      keys.forEach((key) => found.add(key));
    }
    assert.equal(found.size, 3000);
    assert.equal(await redis.dbSize(), 3500);
  });

  check(`${label}: pub/sub with patterns, shards and unsubscribing`, async () => {
    // Version 5 waits for ever when it unsubscribes from one kind and is still subscribed to another.
    const shared = major >= 6;
    const subscriber = await connect({ RESP });
    const patternSubscriber = shared ? subscriber : await connect({ RESP });
    const shardSubscriber = shared ? subscriber : await connect({ RESP });
    const inbox = new Inbox();
    const listener = (message, channel) => inbox.push([channel, message]);
    await subscriber.subscribe(['news', 'sport'], listener);
    await patternSubscriber.pSubscribe('log.*', listener);
    await shardSubscriber.sSubscribe('shard', listener);
    assert.equal(await redis.publish('news', 'hello'), 1);
    assert.deepEqual(await inbox.next(), ['news', 'hello']);
    assert.equal(await redis.publish('log.web', 'hit'), 1);
    assert.deepEqual(await inbox.next(), ['log.web', 'hit']);
    assert.equal(await redis.sPublish('shard', 'sharded'), 1);
    assert.deepEqual(await inbox.next(), ['shard', 'sharded']);
    for (let i = 0; i < 1000; i++) redis.publish('sport', String(i));
    for (let i = 0; i < 1000; i++) assert.deepEqual(await inbox.next(), ['sport', String(i)]);
    assert.deepEqual({ ...(await redis.pubSubNumSub(['news', 'none'])) }, { news: 1, none: 0 });
    assert.equal(await redis.pubSubNumPat(), 1);
    await subscriber.unsubscribe();
    await patternSubscriber.pUnsubscribe();
    await shardSubscriber.sUnsubscribe();
    assert.equal(await redis.publish('news', 'nobody'), 0);
  });

  check(`${label}: a killed connection comes back with its subscription`, async () => {
    const subscriber = await connect({ RESP, name: `victim-${RESP}` });
    const inbox = new Inbox();
    await subscriber.subscribe(`lasting-${RESP}`, (message) => inbox.push(message));
    const victim = (await redis.clientList()).find((client) => client.name === `victim-${RESP}`);
    assert.equal(await redis.clientKill({ filter: 'ID', id: victim.id }), 1);
    await eventually('the subscription is back', async () => (await redis.publish(`lasting-${RESP}`, 'again')) === 1);
    assert.equal(await inbox.next(), 'again');
  });

  check(`${label}: errors reject with the server's text`, async () => {
    await assert.rejects(redis.sendCommand(['NOSUCH', 'a']), /ERR unknown command 'NOSUCH'/);
    await redis.set('k', 'v');
    await assert.rejects(redis.incr('k'), /ERR value is not an integer or out of range/);
  });

  check(`${label}: INFO and CONFIG parse`, async () => {
    assert.match(await redis.info('server'), /redis_version:7\./);
    const config = await redis.configGet('maxmemory-policy');
    assert.equal(config['maxmemory-policy'], 'allkeys-lru');
  });
}

check('client-side caching serves repeated reads and drops what another client changes', async () => {
  const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: 'LRU' });
  const reader = await connect({ RESP: 3, clientSideCache: cache });
  const writer = await connect({ RESP: 3 });
  await writer.set('cached', 'one');
  assert.equal(await reader.get('cached'), 'one');
  assert.equal(await reader.get('cached'), 'one');
  assert.equal(cache.stats().hitCount, 1);
  await writer.set('cached', 'two');
  await eventually('the invalidation', async () => (await reader.get('cached')) === 'two');
  await writer.mSet([['m1', 'a'], ['m2', 'b']]);
  assert.deepEqual(await reader.mGet(['m1', 'm2']), ['a', 'b']);
  await writer.del('m1');
  await eventually('the invalidation of one of several keys', async () => (await reader.mGet(['m1', 'm2']))[0] === null);
  await writer.set('flushed', '1');
  assert.equal(await reader.get('flushed'), '1');
  await writer.flushAll();
  await eventually('the invalidation of everything', async () => (await reader.get('flushed')) === null);
});

check('a pool of connections', async () => {
  const pool = await createClientPool({ url, RESP: 3 }, { minimum: 2, maximum: 8 }).on('error', () => {}).connect();
  await pool.set('pooled', '0');
  await Promise.all(Array.from({ length: 500 }, () => pool.incr('pooled')));
  assert.equal(await pool.get('pooled'), '500');
  await pool.close();
});

check('the unix socket', async () => {
  const local = createClient({ socket: { path: process.env.CACHE_SOCKET }, RESP: 3 });
  local.on('error', () => {});
  await local.connect();
  clients.push(local);
  assert.equal(await local.set('by', 'socket'), 'OK');
});

main(async () => {
  await Promise.all(clients.map((client) => client.close()));
});
