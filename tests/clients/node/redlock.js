// redlock.js redlock CLIENT: locks by the Redlock algorithm, on one server and on three.
'use strict';

const { assert, check, eventually, libraries, main } = require('./checks');
const [{ default: Redlock, ResourceLockedError, ExecutionError }, { Redis }] = libraries(process.argv.slice(2));

const ports = ['CACHE_PORT', 'CABLE_PORT', 'SESSION_PORT'].map((name) => Number(process.env[name]));
const servers = ports.map((port) => new Redis(port, '127.0.0.1'));
const [redis] = servers;
const locks = new Redlock([redis], { retryCount: 0 });
const patient = new Redlock([redis], { retryCount: 5000, retryDelay: 2, retryJitter: 2 });

const errors = [];
for (const one of [locks, patient]) one.on('error', (error) => errors.push(error));

const fresh = () => Promise.all(servers.flatMap((server) => [server.flushall(), server.script('FLUSH')]));

check('a lock is taken, refused to others and released', async () => {
  await fresh();
  const lock = await locks.acquire(['a', 'b'], 60_000);
  assert.deepEqual(await redis.mget('a', 'b'), [lock.value, lock.value]);
  assert.ok((await redis.pttl('a')) > 50_000);
  await assert.rejects(locks.acquire(['b', 'c'], 60_000), ExecutionError);
  assert.ok(errors.pop() instanceof ResourceLockedError);
  assert.equal(await redis.exists('c'), 0);
  await lock.release();
  assert.equal(await redis.exists('a', 'b'), 0);
  const next = await locks.acquire(['b', 'c'], 60_000);
  await next.release();
  await assert.rejects(next.release(), ExecutionError);
});

check('a lock is extended by its owner, and by nobody after it has run out', async () => {
  await fresh();
  let lock = await locks.acquire(['a'], 10_000);
  lock = await lock.extend(60_000);
  assert.ok((await redis.pttl('a')) > 50_000);
  lock = await lock.extend(50);
  await eventually('it has run out', async () => (await redis.exists('a')) === 0);
  await assert.rejects(lock.extend(60_000));
  const other = await locks.acquire(['a'], 60_000);
  await assert.rejects(locks.release(lock), ExecutionError);
  assert.equal(await redis.get('a'), other.value);
  await other.release();
});

check('whoever waits gets the lock when it is released or has run out', async () => {
  await fresh();
  const first = await patient.acquire(['a'], 60_000);
  const second = patient.acquire(['a'], 40);
  const third = second.then(() => patient.acquire(['a'], 60_000));
  await first.release();
  const last = await third;
  assert.equal(await redis.get('a'), last.value);
  await last.release();
});

check('twenty at once under one lock lose no count', async () => {
  await fresh();
  await redis.set('shared', 0);
  const work = async () => {
    for (let i = 0; i < 5; i++) {
      const lock = await patient.acquire(['lock'], 60_000);
      await redis.set('shared', Number(await redis.get('shared')) + 1);
      await lock.release();
    }
  };
  await Promise.all(Array.from({ length: 20 }, work));
  assert.equal(await redis.get('shared'), '100');
});

check('using() prolongs the lock for as long as the work lasts', async () => {
  await fresh();
  const settings = { automaticExtensionThreshold: 900 };
  const result = await locks.using(['a'], 1200, settings, async (signal) => {
    const owner = await redis.get('a');
    let latest = 0;
    await eventually('it was prolonged', async () => {
      const left = await redis.pttl('a');
      const prolonged = left > latest && latest > 0;
      latest = left;
      return prolonged;
    });
    assert.equal(await redis.get('a'), owner);
    assert.equal(signal.aborted, false);
    return 'done';
  });
  assert.equal(result, 'done');
  assert.equal(await redis.exists('a'), 0);
});

check('using() tells the work that the lock is lost', async () => {
  await fresh();
  const settings = { automaticExtensionThreshold: 150 };
  const work = locks.using(['a'], 300, settings, async (signal) => {
    await redis.set('a', "another's");
    await eventually('it is told', () => signal.aborted);
    return signal.error.constructor.name;
  });
  await assert.rejects(work, ExecutionError); // the release finds the other's
  assert.equal(await redis.get('a'), "another's");
});

check('of three servers two are enough', async () => {
  await fresh();
  const quorum = new Redlock(servers, { retryCount: 0 });
  quorum.on('error', () => {});
  const lock = await quorum.acquire(['q'], 60_000);
  const values = () => Promise.all(servers.map((server) => server.get('q')));
  await eventually('all have it', async () => (await values()).every((value) => value === lock.value));
  await lock.release();
  await eventually('none has it', async () => (await values()).every((value) => value === null));
  await servers[2].set('q', "another's");
  const second = await quorum.acquire(['q'], 60_000);
  await eventually('two have it', async () => (await servers[0].exists('q')) && (await servers[1].exists('q')));
  await second.release();
  await servers[1].set('q', "another's");
  await assert.rejects(quorum.acquire(['q'], 60_000), ExecutionError);
  await eventually('what the first had given is taken back', async () => (await servers[0].exists('q')) === 0);
});

main(async () => {
  await fresh();
  await Promise.all(servers.map((server) => server.quit()));
});
