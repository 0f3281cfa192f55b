// cluster_ioredis.js MODULE: the checks of cluster.js through ioredis' client for clusters.
'use strict';

const { library, main } = require('./checks');
const { clusterChecks, nodes, password } = require('./cluster');
const { Cluster } = library(process.argv.slice(2));

const clients = [];

// A failover takes longer than the patience that ioredis has by default.
async function connect(options) {
  const cluster = new Cluster(nodes.slice(0, 2), {
    redisOptions: { password },
    retryDelayOnFailover: 300,
    maxRedirections: 100,
    ...options,
  });
  cluster.on('error', () => {}); // a connection that is lost reports itself; the checks see its effect
  clients.push(cluster);
  return cluster;
}

class Adapter {
  constructor(cluster, reader) {
    this.cluster = cluster;
    this.reader = reader;
    this.listeners = new Map();
    const hear = (channel, message) => this.listeners.get(channel)(message);
    cluster.on('message', hear);
    cluster.on('smessage', hear);
  }

  set = (key, value) => this.cluster.set(key, value);
  get = (key) => this.cluster.get(key);
  incr = (key) => this.cluster.incr(key);
  getFromReplica = (key) => this.reader.get(key);
  evaluate = (script, keys, args) => this.cluster.eval(script, keys.length, ...keys, ...args);
  publish = (channel, message) => this.cluster.publish(channel, message);
  shardPublish = (channel, message) => this.cluster.spublish(channel, message);

  async setBoth(key, other, value) {
    try {
      const replies = await this.cluster.multi().set(key, value).set(other, value).get(key).get(other).exec();
      for (const [error] of replies) if (error) throw error;
      return replies.slice(2).map(([, reply]) => reply);
    } catch (error) {
      throw Object.assign(error, { inTransaction: true });
    }
  }

  subscribe(channel, listener) {
    this.listeners.set(channel, listener);
    return this.cluster.subscribe(channel);
  }

  shardSubscribe(channel, listener) {
    this.listeners.set(channel, listener);
    return this.cluster.ssubscribe(channel);
  }

  // It tries all again by itself, but a transaction only if all its commands were refused with the same words: not if the
  // last key of the slot has left, or the slot has, between two of them.
  maySay = (phase, error) => Boolean(error.inTransaction) && /^(ASK|MOVED|TRYAGAIN|EXECABORT) /.test(error.message);
}

clusterChecks(
  async () => new Adapter(await connect({ shardedSubscribers: true }), await connect({ scaleReads: 'slave' })),
);

main(async () => {
  for (const client of clients) client.disconnect();
});
