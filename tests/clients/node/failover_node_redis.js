// failover_node_redis.js MODULE: the checks of failover.js through node-redis' own client for Sentinel, which keeps
// pools of connections and looks for changes itself.
'use strict';

const { library, main } = require('./checks');
const { failoverChecks, GROUP, password, sentinels } = require('./failover');
const { createSentinel } = library(process.argv.slice(2));

const clients = [];

class Adapter {
  constructor(redis, lease) {
    this.redis = redis;
    this.lease = lease; // a connection to whoever is primary, where `redis` may read from a replica
  }

  // On one connection, in one go: elsewhere WAIT would say nothing about the write before it.
  async save(key, value) {
    const [, replicas] = await this.lease.multi().set(key, value).wait(1, 2000).execAsPipeline();
    return replicas;
  }

  get = (key) => this.lease.get(key);
  getFromReplica = (key) => this.redis.get(key);
  info = () => this.lease.info();
  publish = (channel, message) => this.lease.publish(channel, message);
  subscribe = (channel, listener) => this.redis.subscribe(channel, listener);
}

failoverChecks(async () => {
  const redis = createSentinel({
    name: GROUP,
    sentinelRootNodes: sentinels,
    nodeClientOptions: { password },
    scanInterval: 200,
    masterPoolSize: 2,
    replicaPoolSize: 1,
  });
  redis.on('error', () => {}); // a connection that is lost reports itself; the checks see its effect
  await redis.connect();
  clients.push(redis);
  return new Adapter(redis, await redis.acquire());
});

main(async () => {
  for (const client of clients) client.destroy();
});
