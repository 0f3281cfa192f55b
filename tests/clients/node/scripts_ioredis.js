// scripts_ioredis.js MODULE: Lua scripts and functions through ioredis: scripts as commands of its own, which it
// sends by their digest and, when the server does not know that, by their source.
'use strict';

const { assert, check, eventually, library, main } = require('./checks');
const { Redis, major } = library(process.argv.slice(2));
const { createHash } = require('node:crypto');

const port = Number(process.env.CACHE_PORT);
const clients = [];

const TAKE = `
local left = tonumber(redis.call('GET', KEYS[1]) or '0')
if left < tonumber(ARGV[1]) then return redis.error_reply('EMPTY only ' .. left .. ' left') end
return redis.call('DECRBY', KEYS[1], ARGV[1])`;
const ECHO = 'return { KEYS, ARGV }';
const LIBRARY = `#!lua name=counter
redis.register_function('counter_add', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
redis.register_function{ function_name = 'counter_get', flags = { 'no-writes' },
  callback = function(keys) return redis.call('GET', keys[1]) end }`;
const scripts = {
  take: { numberOfKeys: 1, lua: TAKE },
  echoTwo: { numberOfKeys: 2, lua: ECHO },
  echoAny: { lua: ECHO },
  readOnly: { numberOfKeys: 1, lua: "return redis.call('GET', KEYS[1])", readOnly: true },
};

function connect(options = {}) {
  const client = new Redis({ host: '127.0.0.1', port, scripts, ...options });
  client.on('error', () => {}); // a killed connection reports itself; the checks see its effect
  clients.push(client);
  return client;
}

const digest = (source) => createHash('sha1').update(source).digest('hex');

// How often commands were called, by the server's count; needs a reset before.
async function calls(redis, name) {
  const found = new RegExp(`^cmdstat_${name}:calls=(\\d+)`, 'm').exec(await redis.info('commandstats'));
  return found ? Number(found[1]) : 0;
}

for (const protocol of major < 6 ? [2] : [3, 2]) {
  const label = `RESP${protocol}`;
  const redis = connect({ protocol });

  async function fresh() {
    await redis.flushall();
    await redis.script('FLUSH');
  }

  check(`${label}: a command of one's own gets keys and arguments, also without a fixed number of keys`, async () => {
    await fresh();
    assert.deepEqual(await redis.echoTwo('a', 'b', 1, 'žluť'), [['a', 'b'], ['1', 'žluť']]);
    assert.deepEqual(await redis.echoAny(1, 'a', 'x', 'y'), [['a'], ['x', 'y']]);
    assert.deepEqual(await redis.echoTwo(['a', 'b', 'x']), [['a', 'b'], ['x']]);
    const bytes = Buffer.from([0, 13, 10, 255]);
    assert.deepEqual(await redis.echoTwoBuffer('a', 'b', bytes), [[Buffer.from('a'), Buffer.from('b')], [bytes]]);
    await redis.set('k', 'v');
    assert.equal(await redis.readOnly('k'), 'v');
    redis.defineCommand('late', { numberOfKeys: 0, lua: 'return #ARGV' });
    assert.equal(await redis.late(1, 2, 3), 3);
  });

  check(`${label}: the source is sent once, after that only its digest`, async () => {
    await fresh();
    await redis.set('stock', 1000);
    await redis.config('RESETSTAT');
    assert.equal(await redis.take('stock', 1), 999);
    for (let i = 0; i < 20; i++) await redis.take('stock', 1);
    assert.equal(await calls(redis, 'eval'), 1);
    assert.deepEqual(await redis.script('EXISTS', digest(TAKE), digest('none')), [1, 0]);
    await redis.script('FLUSH'); // ioredis believes that the server knows it, and hears that it does not
    assert.equal(await redis.take('stock', 1), 978);
    assert.equal(await redis.take('stock', 1), 977);
    assert.equal(await calls(redis, 'eval'), 2);
  });

  check(`${label}: many at once, by one connection and by others, each exactly once`, async () => {
    await fresh();
    await redis.set('stock', 5000);
    const others = [redis, connect({ protocol }), connect({ protocol, enableAutoPipelining: true })];
    const left = await Promise.all(others.flatMap((one) => Array.from({ length: 1000 }, () => one.take('stock', 1))));
    assert.equal(new Set(left).size, 3000);
    assert.equal(await redis.get('stock'), '2000');
  });

  check(`${label}: in a pipeline and in MULTI, whose scripts are loaded before`, async () => {
    await fresh();
    const one = connect({ protocol });
    const replies = await one.pipeline().set('stock', 10).take('stock', 3).echoTwo('a', 'b', 'x').get('stock').exec();
    assert.deepEqual(replies, [[null, 'OK'], [null, 7], [null, [['a', 'b'], ['x']]], [null, '7']]);
    await redis.script('FLUSH');
    const all = await connect({ protocol }).multi().take('stock', 1).take('stock', 1).get('stock').exec();
    assert.deepEqual(all, [[null, 6], [null, 5], [null, '5']]);
    await redis.script('FLUSH'); // what both believe to be there is not: each is sent again by itself
    const again = await one.pipeline().take('stock', 0).take('stock', 0).echoTwo('a', 'b', 'x').exec();
    assert.deepEqual(again, [[null, 5], [null, 5], [null, [['a', 'b'], ['x']]]]);
    const [[failure], after] = await one.pipeline().take('stock', 50).take('stock', 5).exec();
    assert.match(failure.message, /^EMPTY only 5 left$/);
    assert.deepEqual(after, [null, 0]);
  });

  check(`${label}: errors reject with the server's text`, async () => {
    await fresh();
    await redis.set('stock', 3);
    await assert.rejects(redis.take('stock', 4), /^ReplyError: EMPTY only 3 left$/);
    await assert.rejects(redis.eval("error('boom')", 0), /user_script:1: boom/);
    await assert.rejects(redis.eval("return redis.call('LPUSH', KEYS[1], 1)", 1, 'stock'), /WRONGTYPE/);
    await assert.rejects(redis.evalsha(digest('none'), 0), /NOSCRIPT No matching script/);
    await assert.rejects(redis.call('EVAL_RO', "redis.call('SET', KEYS[1], 1)", 1, 'k'), /read-only scripts/);
    assert.equal(await redis.get('stock'), '3');
  });

  check(`${label}: a script may ask for RESP3 inside`, async () => {
    await fresh();
    await redis.hset('h', 'field', 'value');
    const kind = "local reply = redis.call('HGETALL', KEYS[1]) return reply.map and reply.map.field or reply[1]";
    assert.equal(await redis.eval(kind, 1, 'h'), 'field');
    assert.equal(await redis.eval(`redis.setresp(3) ${kind}`, 1, 'h'), 'value');
    const yes = await redis.eval('redis.setresp(3) return true', 0);
    assert.ok(protocol === 3 ? yes === true || yes === 1 : yes === 1, `true is ${yes}`);
    const map = await redis.eval("return { map = { one = 'eins' } }", 0);
    assert.deepEqual(map, ['one', 'eins']); // ioredis makes a list of it in RESP3 too
  });

  check(`${label}: a killed connection runs its scripts again after it has come back`, async () => {
    await fresh();
    await redis.set('stock', 10);
    const victim = connect({ protocol, connectionName: `scripts-${protocol}` });
    assert.equal(await victim.take('stock', 1), 9);
    const ready = new Promise((resolve) => victim.once('ready', resolve));
    const list = await redis.client('LIST');
    const id = list.split('\n').find((line) => line.includes(`name=scripts-${protocol}`)).match(/id=(\d+)/)[1];
    await redis.script('FLUSH');
    assert.equal(await redis.client('KILL', 'ID', id), 1);
    await ready;
    assert.equal(await victim.take('stock', 1), 8);
  });

  check(`${label}: functions are loaded, called and deleted`, async () => {
    await fresh();
    await redis.function('FLUSH');
    assert.equal(await redis.function('LOAD', LIBRARY), 'counter');
    assert.equal(await redis.fcall('counter_add', 1, 'n', 5), 5);
    assert.equal(await redis.fcall_ro('counter_get', 1, 'n'), '5');
    const replies = await redis.multi().fcall('counter_add', 1, 'n', 2).fcall('counter_get', 1, 'n').exec();
    assert.deepEqual(replies, [[null, 7], [null, '7']]);
    await assert.rejects(redis.fcall_ro('counter_add', 1, 'n', 1), /Can not execute a script with write flag/);
    const dump = await redis.functionBuffer('DUMP');
    assert.equal(await redis.function('DELETE', 'counter'), 'OK');
    await assert.rejects(redis.fcall('counter_get', 1, 'n'), /ERR Function not found/);
    assert.equal(await redis.function('RESTORE', dump), 'OK');
    assert.equal(await redis.fcall('counter_get', 1, 'n'), '7');
    assert.equal(await redis.function('FLUSH'), 'OK');
  });
}

check('a script that runs for too long is killed', async () => {
  const redis = connect();
  const limit = [await redis.config('GET', 'lua-time-limit')].flat().at(-1);
  await redis.config('SET', 'lua-time-limit', 20);
  const running = assert.rejects(connect().eval('while true do end', 0), /killed by user/i);
  const isBusy = () => redis.ping().then(() => false, (error) => /^BUSY/.test(error.message));
  await eventually('others hear that a script runs', isBusy);
  assert.equal(await redis.script('KILL'), 'OK');
  await running;
  await redis.config('SET', 'lua-time-limit', limit);
  await redis.flushall();
  await redis.script('FLUSH');
});

main(async () => {
  await Promise.all(clients.map((client) => client.quit()));
});
