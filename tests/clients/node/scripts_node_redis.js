// scripts_node_redis.js MODULE: Lua scripts and functions through node-redis, which makes methods of both.
'use strict';

const { assert, check, library, main } = require('./checks');
const { createClient, createClientPool, defineScript, RESP_TYPES } = library(process.argv.slice(2));

const url = process.env.CACHE_URL;
const clients = [];

const LIBRARY = `#!lua name=counter
redis.register_function('counter_add', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
redis.register_function{ function_name = 'counter_get', flags = { 'no-writes' },
  callback = function(keys) return redis.call('GET', keys[1]) end }`;

// A key and one argument, which is all that these need.
function parseCommand(parser, key, value) {
  parser.pushKey(key);
  if (value !== undefined) parser.push(String(value));
}

const scripts = {
  take: defineScript({
    NUMBER_OF_KEYS: 1,
    SCRIPT: `
      local left = tonumber(redis.call('GET', KEYS[1]) or '0')
      if left < tonumber(ARGV[1]) then return redis.error_reply('EMPTY only ' .. left .. ' left') end
      return redis.call('DECRBY', KEYS[1], ARGV[1])`,
    parseCommand,
    transformReply: (reply) => ({ left: reply }),
  }),
  read: defineScript({
    NUMBER_OF_KEYS: 1,
    SCRIPT: "return redis.call('GET', KEYS[1])",
    IS_READ_ONLY: true,
    parseCommand,
    transformReply: undefined,
  }),
};
const functions = {
  counter: {
    counter_add: { NUMBER_OF_KEYS: 1, parseCommand, transformReply: undefined },
    counter_get: { NUMBER_OF_KEYS: 1, IS_READ_ONLY: true, parseCommand, transformReply: undefined },
  },
};

async function connect(options = {}) {
  const client = createClient({ url, scripts, functions, ...options });
  client.on('error', () => {}); // a killed connection reports itself; the checks see its effect
  await client.connect();
  clients.push(client);
  return client;
}

for (const RESP of [3, 2]) {
  const label = `RESP${RESP}`;
  let redis;

  async function fresh() {
    redis ??= await connect({ RESP });
    await redis.flushAll();
    await redis.scriptFlush();
  }

  check(`${label}: a script is a method, and its source is sent when the server does not know it`, async () => {
    await fresh();
    await redis.set('stock', '10');
    assert.deepEqual(await redis.take('stock', 3), { left: 7 });
    assert.equal(await redis.read('stock'), '7');
    assert.deepEqual([...(await redis.scriptExists([scripts.take.SHA1, 'f'.repeat(40)]))], [1, 0]);
    await redis.scriptFlush();
    assert.deepEqual(await redis.take('stock', 1), { left: 6 });
    assert.deepEqual(await redis.take('stock', 1), { left: 5 });
    await assert.rejects(redis.take('stock', 50), /EMPTY only 5 left/);
  });

  check(`${label}: many at once, by one connection and a pool, each exactly once`, async () => {
    await fresh();
    await redis.set('stock', '3000');
    const pool = await createClientPool({ url, RESP, scripts }, { minimum: 2, maximum: 5 }).connect();
    const many = (one) => Array.from({ length: 1000 }, () => one.take('stock', 1));
    const all = await Promise.all([...many(redis), ...many(pool)]);
    assert.equal(new Set(all.map((reply) => reply.left)).size, 2000);
    assert.equal(await redis.get('stock'), '1000');
    await pool.close();
  });

  check(`${label}: in MULTI and in a pipeline`, async () => {
    await fresh();
    const replies = await redis.multi().set('stock', '10').take('stock', 3).read('stock').take('stock', 2).exec();
    assert.deepEqual(replies, ['OK', { left: 7 }, '7', { left: 5 }]);
    assert.deepEqual(await redis.multi().take('stock', 1).get('stock').execAsPipeline(), [{ left: 4 }, '4']);
    const failing = redis.multi().take('stock', 50).set('after', '1').exec();
    await assert.rejects(failing, (error) => /EMPTY only 4 left/.test([...error.errors()]));
    assert.equal(await redis.get('after'), '1');
  });

  check(`${label}: eval with keys and arguments, and what comes back`, async () => {
    await fresh();
    const echo = 'return { KEYS, ARGV }';
    const words = { keys: ['a', 'b'], arguments: ['x', 'žluť'] };
    assert.deepEqual(await redis.eval(echo, words), [['a', 'b'], ['x', 'žluť']]);
    const mixed = await redis.eval("return { 1, 3.99, 'two', false, { ok = 'fine' }, {} }");
    assert.deepEqual(mixed, [1, 3, 'two', null, 'fine', []]);
    const digest = await redis.scriptLoad(echo);
    assert.deepEqual(await redis.evalSha(digest, { keys: ['k'], arguments: [] }), [['k'], []]);
    assert.deepEqual(await redis.evalShaRo(digest, { keys: [], arguments: ['v'] }), [[], ['v']]);
    assert.equal(await redis.evalRo("return redis.call('GET', KEYS[1])", { keys: ['none'], arguments: [] }), null);
    await assert.rejects(redis.evalSha('f'.repeat(40)), /NOSCRIPT No matching script/);
    await assert.rejects(redis.evalRo("return redis.call('SET', KEYS[1], 1)", { keys: ['k'] }), /read-only scripts/);
    await assert.rejects(redis.eval("error('boom')"), /user_script:1: boom/);
    const map = await redis.eval("redis.setresp(3) return redis.call('HGETALL', KEYS[1])", { keys: ['none'] });
    assert.deepEqual(RESP === 3 ? { ...map } : map, RESP === 3 ? {} : []);
    const number = await redis.eval('return { double = 1.5 }');
    assert.equal(Number(number), 1.5);
  });

  check(`${label}: functions are methods of their library`, async () => {
    await fresh();
    await redis.functionFlush();
    assert.equal(await redis.functionLoad(LIBRARY), 'counter');
    assert.equal(await redis.counter.counter_add('n', 5), 5);
    assert.equal(await redis.counter.counter_get('n'), '5');
    assert.equal(await redis.fCall('counter_add', { keys: ['n'], arguments: ['2'] }), 7);
    assert.equal(await redis.fCallRo('counter_get', { keys: ['n'], arguments: [] }), '7');
    assert.deepEqual(await redis.multi().counter.counter_add('n', 1).counter.counter_get('n').exec(), [8, '8']);
    const writing = redis.fCallRo('counter_add', { keys: ['n'], arguments: ['1'] });
    await assert.rejects(writing, /Can not execute a script with write flag/);
    await assert.rejects(redis.functionLoad(LIBRARY), /Library 'counter' already exists/);
    assert.equal(await redis.functionLoad(LIBRARY, { REPLACE: true }), 'counter');
  });

  check(`${label}: functions are listed, counted, dumped and restored`, async () => {
    await fresh();
    await redis.functionFlush();
    await redis.functionLoad(LIBRARY);
    const [library] = await redis.functionListWithCode({ LIBRARYNAME: 'count*' });
    assert.deepEqual([library.library_name, library.engine, library.library_code], ['counter', 'LUA', LIBRARY]);
    const flags = Object.fromEntries(library.functions.map((one) => [one.name, [...one.flags]]));
    assert.deepEqual(flags, { counter_add: [], counter_get: ['no-writes'] });
    const stats = await redis.functionStats();
    assert.equal(stats.running_script, null);
    assert.deepEqual({ ...stats.engines.LUA }, { libraries_count: 1, functions_count: 2 });
    const dump = await redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).functionDump();
    await assert.rejects(redis.functionRestore(dump), /Library counter already exists/);
    assert.equal(await redis.functionRestore(dump, { mode: 'REPLACE' }), 'OK');
    assert.equal(await redis.functionDelete('counter'), 'OK');
    assert.deepEqual([...(await redis.functionList())], []);
    assert.equal(await redis.functionRestore(dump), 'OK');
    assert.equal(await redis.counter.counter_add('n', 1), 1);
    await redis.functionFlush();
    await assert.rejects(redis.counter.counter_get('n'), /ERR Function not found/);
  });
}

main(async () => {
  await Promise.all(clients.map((client) => client.isOpen && client.close()));
});
