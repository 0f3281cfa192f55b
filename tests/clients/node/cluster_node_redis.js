// cluster_node_redis.js MODULE: the checks of cluster.js through node-redis' client for clusters.
'use strict';

const { library, main } = require('./checks');
const { clusterChecks, nodes, password } = require('./cluster');
const { createCluster } = library(process.argv.slice(2));

const CONNECTION_ERRORS = new Set([
  'ClientClosedError',
  'ClientOfflineError',
  'ConnectionTimeoutError',
  'DisconnectsClientError',
  'RootNodesUnavailableError',
  'SocketClosedUnexpectedlyError',
  'TimeoutError',
]);
const clients = [];

async function connect(options) {
  const cluster = createCluster({
    rootNodes: nodes.slice(0, 2).map(({ host, port }) => ({ socket: { host, port } })),
    defaults: { password },
    ...options,
  });
  cluster.on('error', () => {}); // a connection that is lost reports itself; the checks see its effect
  await cluster.connect();
  clients.push(cluster);
  return cluster;
}

class Adapter {
  constructor(cluster, reader) {
    this.cluster = cluster;
    this.reader = reader;
  }

  set = (key, value) => this.cluster.set(key, value);
  get = (key) => this.cluster.get(key);
  incr = (key) => this.cluster.incr(key);
  getFromReplica = (key) => this.reader.get(key);
  evaluate = (script, keys, args) => this.cluster.eval(script, { keys, arguments: args });
  subscribe = (channel, listener) => this.cluster.subscribe(channel, listener);
  publish = (channel, message) => this.cluster.publish(channel, message);
  shardSubscribe = (channel, listener) => this.cluster.sSubscribe(channel, listener);
  shardPublish = (channel, message) => this.cluster.sPublish(channel, message);

  async setBoth(key, other, value) {
    return (await this.cluster.multi().set(key, value).set(other, value).get(key).get(other).exec()).slice(2);
  }

  // It follows MOVED and ASK and tries nothing else again. It does not know the node of an ASK before that node has a
  // slot, and gives up what it has sent to a node that it hears has none.
  maySay(phase, error) {
    if (phase === 'resize')
      return /^Cannot find node/.test(error.message) || error.constructor.name === 'DisconnectsClientError';
    if (phase !== 'kill') return false;
    return CONNECTION_ERRORS.has(error.constructor.name) || /^(read|connect) E|^(CLUSTERDOWN|LOADING)/.test(error.message);
  }
}

clusterChecks(async () => new Adapter(await connect(), await connect({ useReplicas: true })));

main(async () => {
  for (const client of clients) client.destroy();
});
