// rate_limiter.js rate-limiter-flexible IOREDIS NODE_REDIS: limits of requests through both client libraries, by a
// script that is a command of its own for the one and an EVAL for the other.
'use strict';

const { assert, check, eventually, libraries, main } = require('./checks');
const [limiters, { Redis }, { createClient }] = libraries(process.argv.slice(2));
const { RateLimiterRedis, RateLimiterRes, BurstyRateLimiter, RateLimiterQueue, RateLimiterUnion } = limiters;

const raw = new Redis(process.env.CACHE_URL);
const nodeRedis = createClient({ url: process.env.CACHE_URL });
const connecting = nodeRedis.connect();

const clients = [
  ['ioredis', { storeClient: raw }],
  ['node-redis', { storeClient: nodeRedis, useRedisPackage: true }],
];

// What a refused request is rejected with; anything else is an error.
async function refused(promise) {
  const reason = await promise.then(() => assert.fail('it was admitted'), (error) => error);
  if (!(reason instanceof RateLimiterRes)) throw reason;
  return reason;
}

async function admitted(promises) {
  const all = await Promise.allSettled(promises);
  return all.filter((one) => one.status === 'fulfilled').length;
}

for (const [label, store] of clients) {
  const limiter = (options) => new RateLimiterRedis({ ...store, keyPrefix: 'rl', points: 5, duration: 60, ...options });

  async function fresh() {
    await connecting;
    await raw.flushall();
    await raw.script('FLUSH');
  }

  check(`${label}: as many points as there are, then none`, async () => {
    await fresh();
    const limit = limiter();
    const first = await limit.consume('me');
    assert.deepEqual([first.consumedPoints, first.remainingPoints, first.isFirstInDuration], [1, 4, true]);
    assert.ok(first.msBeforeNext > 50_000 && first.msBeforeNext <= 60_000);
    const second = await limit.consume('me', 4);
    assert.deepEqual([second.consumedPoints, second.remainingPoints, second.isFirstInDuration], [5, 0, false]);
    const third = await refused(limit.consume('me'));
    assert.deepEqual([third.consumedPoints, third.remainingPoints], [6, 0]);
    assert.equal((await limit.consume('other', 5)).remainingPoints, 0);
    assert.equal(await raw.get('rl:me'), '6');
    assert.ok((await raw.ttl('rl:me')) > 50);
  });

  check(`${label}: a hundred at once, of which as many are admitted as may be`, async () => {
    await fresh();
    const limit = limiter({ points: 30 });
    assert.equal(await admitted(Array.from({ length: 100 }, () => limit.consume('me'))), 30);
    assert.equal((await limit.get('me')).consumedPoints, 100);
  });

  check(`${label}: points come back after their time`, async () => {
    await fresh();
    const limit = limiter({ points: 1, duration: 1 });
    await limit.consume('me');
    const { msBeforeNext } = await refused(limit.consume('me'));
    assert.ok(msBeforeNext > 0 && msBeforeNext <= 1000);
    await eventually('they are back', async () => (await raw.exists('rl:me')) === 0);
    assert.equal((await limit.consume('me')).isFirstInDuration, true);
  });

  check(`${label}: too much blocks for longer`, async () => {
    await fresh();
    const limit = limiter({ points: 1, blockDuration: 600 });
    await limit.consume('me');
    assert.ok((await refused(limit.consume('me'))).msBeforeNext > 500_000);
    assert.ok((await raw.ttl('rl:me')) > 500);
  });

  check(`${label}: block, reward, penalty, set, get and delete`, async () => {
    await fresh();
    const limit = limiter();
    assert.equal(await limit.get('me'), null);
    assert.equal((await limit.penalty('me', 3)).consumedPoints, 3);
    assert.equal((await limit.reward('me', 2)).consumedPoints, 1);
    assert.equal((await limit.get('me')).remainingPoints, 4);
    assert.equal((await limit.set('me', 2, 100)).consumedPoints, 2);
    assert.ok((await raw.ttl('rl:me')) > 60);
    await limit.block('me', 1000);
    assert.ok((await refused(limit.consume('me'))).msBeforeNext > 60_000);
    assert.equal(await limit.delete('me'), true);
    assert.equal(await limit.delete('me'), false);
    assert.equal((await limit.consume('me')).consumedPoints, 1);
    await limit.block('never', 0);
    assert.equal(await raw.ttl('rl:never'), -1);
  });

  check(`${label}: a burst may go over the limit, up to one of its own`, async () => {
    await fresh();
    const usual = limiter({ points: 2, keyPrefix: 'usual' });
    const bursty = new BurstyRateLimiter(usual, limiter({ points: 3, duration: 600, keyPrefix: 'burst' }));
    assert.equal(await admitted(Array.from({ length: 10 }, () => bursty.consume('me'))), 5);
    await refused(bursty.consume('me'));
    assert.deepEqual([await raw.get('usual:me'), Number(await raw.get('burst:me')) > 3], ['11', true]);
  });

  check(`${label}: a union of limits, and a queue that waits for points`, async () => {
    await fresh();
    const union = new RateLimiterUnion(limiter({ keyPrefix: 'wide' }), limiter({ points: 1, keyPrefix: 'narrow' }));
    const both = await union.consume('me');
    assert.deepEqual([both.wide.remainingPoints, both.narrow.remainingPoints], [4, 0]);
    const over = await union.consume('me').then(() => assert.fail('it was admitted'), (reason) => reason);
    assert.deepEqual(Object.keys(over), ['narrow']);
    const queue = new RateLimiterQueue(limiter({ points: 2, duration: 1, keyPrefix: 'queue' }));
    const left = await Promise.all(Array.from({ length: 4 }, () => queue.removeTokens(1)));
    assert.deepEqual(left, [1, 0, 1, 0]);
  });

  check(`${label}: scripts that the server has forgotten are sent again`, async () => {
    await fresh();
    const limit = limiter({ points: 100 });
    await limit.consume('me');
    await raw.script('FLUSH');
    assert.equal((await limit.consume('me')).consumedPoints, 2);
    assert.equal(await admitted(Array.from({ length: 50 }, () => limit.consume('me'))), 50);
    assert.equal(await raw.get('rl:me'), '52');
  });
}

main(async () => {
  await raw.flushall();
  await Promise.all([raw.quit(), nodeRedis.close()]);
});
