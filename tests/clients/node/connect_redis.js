// connect_redis.js connect-redis NODE_REDIS: the session store of Express, by the methods that express-session calls.
'use strict';

const { assert, check, eventually, libraries, main } = require('./checks');
const { promisify } = require('node:util');
const [{ RedisStore }, { createClient }] = libraries(process.argv.slice(2));
const { Cookie } = require('express-session');

const client = createClient({ url: process.env.SESSION_URL });
const connecting = client.connect();
const DAY = 86_400;

// A store whose methods end by a callback, as express-session calls them.
function open(options) {
  const store = new RedisStore({ client, ...options });
  const names = ['get', 'set', 'touch', 'destroy', 'clear', 'length', 'ids', 'all'];
  return Object.fromEntries(names.map((name) => [name, promisify(store[name].bind(store))]));
}

const session = (user, maxAge) => ({ cookie: new Cookie(maxAge === undefined ? {} : { maxAge }), user });
const plain = (stored) => JSON.parse(JSON.stringify(stored));
const ttl = (id) => client.ttl(`sess:${id}`);

async function fresh() {
  await connecting;
  await client.flushAll();
}

check('a session is stored, read and destroyed', async () => {
  await fresh();
  const store = open();
  assert.equal(await store.get('none'), null);
  const ada = { ...session('Ada'), cart: ['žluť', { n: 1.5, none: null }] };
  await store.set('a', ada);
  assert.deepEqual(await store.get('a'), plain(ada));
  assert.ok((await ttl('a')) > DAY - 60 && (await ttl('a')) <= DAY);
  await store.set('a', session('Eve'));
  assert.equal((await store.get('a')).user, 'Eve');
  await store.destroy('a');
  assert.equal(await store.get('a'), null);
  await store.destroy('a');
});

check('a session lives as long as its cookie, and touch prolongs it', async () => {
  await fresh();
  const store = open();
  await store.set('a', session('Ada', 100_000));
  assert.ok((await ttl('a')) > 90 && (await ttl('a')) <= 100);
  await store.touch('a', session('Ada', 1_000_000));
  assert.ok((await ttl('a')) > 900);
  await store.touch('none', session('nobody'));
  assert.equal(await client.dbSize(), 1);
  await store.set('short', session('short', 900));
  assert.equal((await store.get('short')).user, 'short');
  await eventually('it has run out', async () => (await store.get('short')) === null);
  await store.set('a', session('Ada', -1000)); // a cookie that has run out destroys the session
  assert.equal(await store.get('a'), null);
});

check('times to live by a number, by a function and not at all', async () => {
  await fresh();
  await open({ ttl: 50 }).set('number', session('n'));
  await open({ ttl: (one) => one.user.length * 100 }).set('function', session('Ada'));
  await open({ disableTTL: true }).set('none', session('n'));
  const times = await Promise.all(['number', 'function', 'none'].map(ttl));
  assert.ok(times[0] > 40 && times[0] <= 50 && times[1] > 290 && times[1] <= 300, `${times}`);
  assert.equal(times[2], -1);
  await open({ disableTouch: true }).touch('number', session('n'));
  assert.ok((await ttl('number')) <= 50);
});

check('all sessions are counted, listed and cleared, and nothing else', async () => {
  await fresh();
  const store = open({ scanCount: 50 });
  const others = open({ prefix: 'other:' });
  assert.deepEqual([await store.length(), await store.ids(), await store.all()], [0, [], []]);
  const names = Array.from({ length: 1500 }, (_, i) => `user-${i}`);
  await Promise.all(names.map((name) => store.set(name, session(name))));
  await Promise.all(names.slice(0, 100).map((name) => others.set(name, session(name))));
  await client.set('session-like', '1');
  assert.equal(await store.length(), 1500);
  assert.deepEqual((await store.ids()).sort(), [...names].sort());
  const all = await store.all();
  assert.equal(all.length, 1500);
  assert.ok(all.every((one) => one.id === one.user));
  assert.equal(await others.length(), 100);
  await store.clear();
  assert.equal(await store.length(), 0);
  assert.equal(await client.dbSize(), 101);
  await others.clear();
  assert.deepEqual(await client.keys('*'), ['session-like']);
});

check('a serializer of its own, and big sessions', async () => {
  await fresh();
  const serializer = {
    stringify: (value) => Buffer.from(JSON.stringify(value)).toString('base64'),
    parse: (text) => JSON.parse(Buffer.from(text, 'base64').toString()),
  };
  const store = open({ serializer });
  const big = { ...session('big'), text: 'ž'.repeat(500_000) };
  await store.set('big', big);
  assert.deepEqual(await store.get('big'), plain(big));
  assert.match(await client.get('sess:big'), /^[A-Za-z0-9+/]+=*$/);
});

check('errors come by the callback', async () => {
  await fresh();
  await client.lPush('sess:list', 'x');
  await client.set('sess:broken', '{');
  const store = open();
  await assert.rejects(store.get('list'), /WRONGTYPE/);
  await assert.rejects(store.get('broken'), SyntaxError);
});

main(async () => {
  await client.flushAll();
  await client.close();
});
