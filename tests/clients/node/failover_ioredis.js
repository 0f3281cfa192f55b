// failover_ioredis.js MODULE: the checks of failover.js through ioredis, which asks Sentinel at each connection.
'use strict';

const { library, main } = require('./checks');
const { failoverChecks, GROUP, password, sentinels } = require('./failover');
const { Redis } = library(process.argv.slice(2));

const clients = [];

function connect(options = {}) {
  const client = new Redis({ sentinels, name: GROUP, password, ...options });
  client.on('error', () => {}); // a connection that is lost reports itself; the checks see its effect
  clients.push(client);
  return client;
}

class Adapter {
  redis = connect();
  replica = connect({ role: 'slave' });
  subscriber = connect();

  // As a pipeline: if the connection is lost, ioredis sends it again as a whole or not at all. By itself on the next
  // connection WAIT would say nothing about the write before it.
  async save(key, value) {
    const [[setError], [waitError, replicas]] = await this.redis.pipeline().set(key, value).wait(1, 2000).exec();
    if (setError || waitError) throw setError ?? waitError;
    return replicas;
  }

  get = (key) => this.redis.get(key);
  getFromReplica = (key) => this.replica.get(key);
  info = () => this.redis.info();
  publish = (channel, message) => this.redis.publish(channel, message);

  subscribe(channel, listener) {
    this.subscriber.on('message', listener);
    return this.subscriber.subscribe(channel);
  }
}

failoverChecks(async () => new Adapter());

main(async () => {
  for (const client of clients) client.disconnect();
});
