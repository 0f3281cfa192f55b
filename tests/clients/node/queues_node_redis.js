// queues_node_redis.js MODULE: the job queues of queues.js through node-redis, which has a form of its
// own for each command's options and reply.
'use strict';

const { library, main } = require('./checks');
const { queueChecks } = require('./queues');
const { createClient } = library(process.argv.slice(2));

const clients = [];

const asEntry = ({ id, message }) => [id, { ...message }];

// Version 5 hands out what RESP3 brings as it is: a map of streams, whose entries are lists.
function oneStream(reply) {
  if (reply === null) return null;
  if (Array.isArray(reply)) return reply[0].messages.map(asEntry);
  const pairs = (words) => words.flatMap((name, i) => (i % 2 ? [] : [[name, words[i + 1]]]));
  return Object.values(reply)[0].map(([id, words]) => [id, Object.fromEntries(pairs(words))]);
}

class Adapter {
  constructor(redis) {
    this.redis = redis;
  }

  flush = () => this.redis.flushAll();
  info = (section) => this.redis.info(section);
  kill = () => this.redis.destroy();

  saveJob = (key, fields) => this.redis.hSet(key, fields);
  job = async (key) => ({ ...(await this.redis.hGetAll(key)) });
  countInJob = (key, field, by) => this.redis.hIncrBy(key, field, by);
  jobFields = (key, fields) => this.redis.hmGet(key, fields);

  push = (list, id) => this.redis.lPush(list, id);
  range = (list) => this.redis.lRange(list, 0, -1);
  length = (list) => this.redis.lLen(list);
  move = (from, to) => this.redis.rPopLPush(from, to);
  moveBack = (from, to) => this.redis.lMove(from, to, 'LEFT', 'RIGHT');
  moveWhenThere = (from, to, seconds) => this.redis.blMove(from, to, 'RIGHT', 'LEFT', seconds);

  schedule = (key, score, value) => this.redis.zAdd(key, { score, value });
  due = (key, until, count) => this.redis.zRangeByScore(key, 0, until, { LIMIT: { offset: 0, count } });
  unschedule = (key, id) => this.redis.zRem(key, id);

  async popMarker(key, seconds) {
    const reply = await this.redis.bzPopMin(key, seconds);
    return reply && [reply.value, reply.score];
  }

  finish = (id, time) =>
    this.redis.multi().lRem('active', 1, id).zAdd('completed', { score: time, value: id }).exec();

  log(key, fields, about) {
    const trim = { TRIM: { strategy: 'MAXLEN', strategyModifier: '~', threshold: about } };
    return this.redis.xAdd(key, '*', fields, about ? trim : undefined);
  }

  entries = async (key, from = '-') => (await this.redis.xRange(key, from, '+')).map(asEntry);
  follow = async (key, id, BLOCK) => oneStream(await this.redis.xRead({ key, id }, { BLOCK }));

  createGroup = (key, group) => this.redis.xGroupCreate(key, group, '$', { MKSTREAM: true });
  acknowledge = (key, group, id) => this.redis.xAck(key, group, id);

  async take(key, group, name, COUNT, BLOCK) {
    return oneStream(await this.redis.xReadGroup(group, name, { key, id: '>' }, { COUNT, BLOCK }));
  }

  async claim(key, group, name, wanted) {
    return (await this.redis.xClaim(key, group, name, 0, wanted)).map(asEntry);
  }

  async claimIdle(key, group, name, start, COUNT) {
    const { nextId, messages } = await this.redis.xAutoClaim(key, group, name, 0, start, { COUNT });
    return { next: nextId, entries: messages.map(asEntry) };
  }

  async pending(key, group) {
    const { pending, consumers } = await this.redis.xPending(key, group);
    const counts = (consumers ?? []).map(({ name, deliveriesCounter }) => [name, deliveriesCounter]);
    return { count: pending, consumers: Object.fromEntries(counts) };
  }

  async listPending(key, group) {
    const reply = await this.redis.xPendingRange(key, group, '-', '+', 100);
    return reply.map(({ id, consumer, deliveriesCounter: deliveries }) => ({ id, consumer, deliveries }));
  }

  async groups(key) {
    const reply = await this.redis.xInfoGroups(key);
    return reply.map((one) => {
      const { name, consumers, pending, lag } = one;
      return { name, consumers, pending, read: one['entries-read'], lag };
    });
  }

  async consumers(key, group) {
    const reply = await this.redis.xInfoConsumers(key, group);
    return Object.fromEntries(reply.map(({ name, pending }) => [name, pending]));
  }

  async describe(key) {
    const stream = await this.redis.xInfoStream(key);
    return { length: stream.length, last: stream['last-generated-id'], groups: stream.groups };
  }
}

// Without unstableResp3 version 5 refuses to read streams in RESP3.
async function open(RESP) {
  const redis = createClient({ url: process.env.SESSION_URL, RESP, unstableResp3: true });
  redis.on('error', () => {}); // the killed consumer reports itself
  await redis.connect();
  clients.push(redis);
  return new Adapter(redis);
}

for (const RESP of [3, 2]) queueChecks(`RESP${RESP}`, () => open(RESP));

main(async () => {
  await Promise.all(clients.map((client) => client.isOpen && client.close()));
});
