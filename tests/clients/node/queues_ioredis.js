// queues_ioredis.js MODULE: the job queues of queues.js through ioredis, which passes a command's words
// as they are.
'use strict';

const { library, main } = require('./checks');
const { queueChecks } = require('./queues');
const { Redis, major } = library(process.argv.slice(2));

const clients = [];

// A flat list of names and values, in RESP3 an object, as one object.
const asObject = (reply) =>
  Array.isArray(reply)
    ? Object.fromEntries(reply.flatMap((name, i) => (i % 2 ? [] : [[name, reply[i + 1]]])))
    : { ...reply };
const asEntries = (reply) => reply.map(([id, fields]) => [id, asObject(fields)]);
const oneStream = (reply) => reply && asEntries(Array.isArray(reply) ? reply[0][1] : Object.values(reply)[0]);
const flat = (object) => Object.entries(object).flat();

class Adapter {
  constructor(protocol) {
    this.redis = new Redis({ host: '127.0.0.1', port: Number(process.env.SESSION_PORT), protocol });
    clients.push(this.redis);
  }

  flush = () => this.redis.flushall();
  info = (section) => this.redis.info(section);
  kill = () => this.redis.disconnect();

  saveJob = (key, fields) => this.redis.hset(key, fields);
  job = async (key) => ({ ...(await this.redis.hgetall(key)) });
  countInJob = (key, field, by) => this.redis.hincrby(key, field, by);
  jobFields = (key, fields) => this.redis.hmget(key, fields);

  push = (list, id) => this.redis.lpush(list, id);
  range = (list) => this.redis.lrange(list, 0, -1);
  length = (list) => this.redis.llen(list);
  move = (from, to) => this.redis.rpoplpush(from, to);
  moveBack = (from, to) => this.redis.lmove(from, to, 'LEFT', 'RIGHT');
  moveWhenThere = (from, to, seconds) => this.redis.blmove(from, to, 'RIGHT', 'LEFT', seconds);

  schedule = (key, score, id) => this.redis.zadd(key, score, id);
  due = (key, until, count) => this.redis.zrangebyscore(key, 0, until, 'LIMIT', 0, count);
  unschedule = (key, id) => this.redis.zrem(key, id);

  async popMarker(key, seconds) {
    const reply = await this.redis.bzpopmin(key, seconds);
    return reply && [reply[1], Number(reply[2])];
  }

  async finish(id, time) {
    const replies = await this.redis.multi().lrem('active', 1, id).zadd('completed', time, id).exec();
    return replies.map(([error, reply]) => error ?? reply);
  }

  log(key, fields, about) {
    const trim = about ? ['MAXLEN', '~', about] : [];
    return this.redis.xadd(key, ...trim, '*', ...flat(fields));
  }

  entries = async (key, from = '-') => asEntries(await this.redis.xrange(key, from, '+'));
  follow = async (key, after, ms) => oneStream(await this.redis.xread('BLOCK', ms, 'STREAMS', key, after));

  createGroup = (key, group) => this.redis.xgroup('CREATE', key, group, '$', 'MKSTREAM');
  acknowledge = (key, group, id) => this.redis.xack(key, group, id);

  async take(key, group, name, count, ms) {
    const words = ['GROUP', group, name, 'COUNT', count, 'BLOCK', ms, 'STREAMS', key, '>'];
    return oneStream(await this.redis.xreadgroup(...words));
  }

  async claim(key, group, name, wanted) {
    return asEntries(await this.redis.xclaim(key, group, name, 0, ...wanted));
  }

  async claimIdle(key, group, name, start, count) {
    const [next, entries] = await this.redis.xautoclaim(key, group, name, 0, start, 'COUNT', count);
    return { next, entries: asEntries(entries) };
  }

  async pending(key, group) {
    const [count, , , consumers] = await this.redis.xpending(key, group);
    return { count, consumers: Object.fromEntries((consumers ?? []).map(([name, n]) => [name, Number(n)])) };
  }

  async listPending(key, group) {
    const reply = await this.redis.xpending(key, group, '-', '+', 100);
    return reply.map(([id, consumer, , deliveries]) => ({ id, consumer, deliveries }));
  }

  async groups(key) {
    const reply = (await this.redis.xinfo('GROUPS', key)).map(asObject);
    return reply.map((one) => {
      const { name, consumers, pending, lag } = one;
      return { name, consumers, pending, read: one['entries-read'], lag };
    });
  }

  async consumers(key, group) {
    const reply = (await this.redis.xinfo('CONSUMERS', key, group)).map(asObject);
    return Object.fromEntries(reply.map(({ name, pending }) => [name, pending]));
  }

  async describe(key) {
    const stream = asObject(await this.redis.xinfo('STREAM', key));
    return { length: stream.length, last: stream['last-generated-id'], groups: stream.groups };
  }
}

for (const protocol of major < 6 ? [2] : [3, 2]) {
  queueChecks(`RESP${protocol}`, async () => new Adapter(protocol));
}

main(async () => {
  await Promise.all(clients.map((client) => client.status === 'end' || client.quit()));
});
