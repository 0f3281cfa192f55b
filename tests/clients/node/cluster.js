// cluster.js: a client of a cluster: keys of all slots, transactions and scripts with tags, pub/sub, reads from replicas; and
// all of it goes on while slots move there and back, a node joins and leaves, and a primary is killed.
//
// The checks speak to an adapter, so that each library does it in its own way. with_cluster runs the servers.
'use strict';

const { execFile } = require('node:child_process');
const path = require('node:path');
const { assert, check, eventually } = require('./checks');

const SLOTS = 16384;
const WRITERS = 8;
const password = process.env.CLUSTER_PASSWORD;
const nodes = process.env.CLUSTER_PORTS.split(',').map((port) => ({ host: '127.0.0.1', port: Number(port) }));

function slotOf(key) {
  let crc = 0;
  for (const byte of Buffer.from(key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1;
  }
  return crc % SLOTS;
}

// A key for each slot; in braces it is a tag of that slot.
function keysOfAllSlots() {
  const keys = new Array(SLOTS);
  for (let i = 0, missing = SLOTS; missing > 0; i++) {
    const slot = slotOf(`key${i}`);
    if (keys[slot] !== undefined) continue;
    keys[slot] = `key${i}`;
    missing--;
  }
  return keys;
}

const keys = keysOfAllSlots();

function disturb(what) {
  return new Promise((resolve, reject) => {
    execFile(path.join(__dirname, '../disturb'), [what], (error, _, complaint) =>
      error ? reject(new Error(complaint || error.message)) : resolve(),
    );
  });
}

// The load: each writer has counters and pairs of its own and goes through them again and again. Half of them are in the
// slots that move.
class Load {
  #ends = false;
  #phase = '';
  #failures = 0; // that the library documents

  constructor(client) {
    this.client = client;
    this.rounds = 0;
    this.counters = [];
    for (let slot = 0; slot < 300; slot += 2) this.#add(slot);
    for (let slot = 300; slot < SLOTS; slot += 120) this.#add(slot);
  }

  #add(slot) {
    this.counters.push({ key: `count:{${keys[slot]}}`, pair: `{${keys[slot]}}`, tries: 0, least: 0, written: 0 });
  }

  // What a library documents as possible is tried again in the next round; anything else ends the load.
  async #attempt(run) {
    try {
      return await run();
    } catch (error) {
      if (!this.client.maySay(this.#phase, error)) throw error;
      this.#failures++;
      return undefined;
    }
  }

  async #count(one) {
    one.tries++;
    const value = await this.#attempt(() => this.client.incr(one.key));
    if (value === undefined) return;
    assert.ok(one.least < value && value <= one.tries, `${one.key} is ${value}, not in ${one.least}..${one.tries}`);
    if (this.#phase !== 'kill') one.least = value;
  }

  async #write(one) {
    const value = String(++one.written);
    const seen = await this.#attempt(() => this.client.setBoth(`a:${one.pair}`, `b:${one.pair}`, value));
    if (seen !== undefined) assert.deepEqual(seen, [value, value]);
  }

  async #run(writer) {
    while (!this.#ends) {
      for (let i = writer; i < this.counters.length && !this.#ends; i += WRITERS) {
        await this.#count(this.counters[i]);
        await this.#write(this.counters[i]);
      }
      this.rounds++;
    }
  }

  // Until all writers have gone through all they have without a failure.
  async #heals() {
    for (let before = -1; before !== this.#failures; ) {
      before = this.#failures;
      const enough = this.rounds + 2 * WRITERS;
      await eventually('two more rounds of each writer', () => this.rounds >= enough);
    }
  }

  // Goes on while this happens, and until the client is well again.
  async during(phase) {
    this.#ends = false;
    this.#phase = phase;
    const writers = Promise.all(Array.from({ length: WRITERS }, (_, i) => this.#run(i)));
    const disturbance = disturb(phase);
    try {
      await Promise.race([writers, disturbance.then(() => this.#heals())]);
    } finally {
      this.#ends = true;
      await disturbance; // what comes next finds a whole cluster, also after a failure
    }
    await writers;
  }

  // Nothing that was acknowledged is lost, and what failed was done once at most.
  async assertExact() {
    for (const { key, least, tries } of this.counters) {
      const value = Number(await this.client.get(key));
      assert.ok(least <= value && value <= tries, `${key} is ${value}, not in ${least}..${tries}`);
    }
  }

  async assertPairs() {
    for (const { pair } of this.counters)
      assert.equal(await this.client.get(`a:${pair}`), await this.client.get(`b:${pair}`), pair);
  }

  // The counters go on from what is there now.
  async takeStock() {
    for (const one of this.counters) one.least = one.tries = Number(await this.client.get(one.key));
  }
}

// clusterChecks(open): open() is an adapter, connected: set(key, value), get(key), incr(key), getFromReplica(key),
// setBoth(key, other, value) is a transaction that returns what both are then, evaluate(script, keys, args),
// subscribe(channel, listener), publish(channel, message), the same two of sharded channels, and maySay(phase, error): may
// the library say that while this happens?
function clusterChecks(open) {
  const sharded = [0, 6000, 12000, SLOTS - 1];
  const heard = new Set();
  let client;
  let load;

  check('keys of all slots are written and read', async () => {
    client = await open();
    load = new Load(client);
    await Promise.all(keys.map((key, slot) => client.set(key, `value ${slot}`)));
    const values = await Promise.all(keys.map((key) => client.get(key)));
    values.forEach((value, slot) => assert.equal(value, `value ${slot}`));
  });

  check('a transaction and a script take keys of one tag, and no others', async () => {
    assert.deepEqual(await client.setBoth('{tag}1', '{tag}2', 'both'), ['both', 'both']);
    const script = "redis.call('SET', KEYS[1], ARGV[1]); return {KEYS[2], redis.call('GET', KEYS[2])}";
    assert.deepEqual(await client.evaluate(script, ['{tag}1', '{tag}2'], ['new']), ['{tag}2', 'both']);
    assert.equal(await client.get('{tag}1'), 'new');
    await assert.rejects(client.evaluate(script, [keys[1], keys[2]], ['new']), /CROSSSLOT/);
    await assert.rejects(client.evaluate(`return redis.call('GET', '${keys[SLOTS - 1]}')`, [keys[1]], []), /non local key/);
  });

  check('messages reach subscribers of channels, and of sharded channels in any slot', async () => {
    await client.subscribe('news', (message) => heard.add(`news ${message}`));
    await client.publish('news', 'hello');
    await eventually('the message', () => heard.has('news hello'));
    for (const slot of sharded) {
      await client.shardSubscribe(keys[slot], (message) => heard.add(`${slot} ${message}`));
      await client.shardPublish(keys[slot], 'hello');
      await eventually(`the message of slot ${slot}`, () => heard.has(`${slot} hello`));
    }
  });

  // A message that nobody heard is lost; then it is said again.
  async function assertHeard(message) {
    await eventually('a message of each channel', async () => {
      await client.publish('news', message);
      for (const slot of sharded) await client.shardPublish(keys[slot], message);
      return heard.has(`news ${message}`) && sharded.every((slot) => heard.has(`${slot} ${message}`));
    });
  }

  check('replicas are read from', async () => {
    await disturb('settle');
    for (let slot = 0; slot < SLOTS; slot += 500)
      assert.equal(await client.getFromReplica(keys[slot]), `value ${slot}`);
  });

  async function assertValues(first, step) {
    for (let slot = first; slot < SLOTS; slot += step)
      assert.equal(await client.get(keys[slot]), `value ${slot}`, `slot ${slot}`);
  }

  async function assertWell() {
    await load.assertExact();
    await load.assertPairs();
  }

  check('clients go on while slots move there and back', async () => {
    await load.during('reshard');
    await assertWell();
    await assertValues(0, 10);
    await assertHeard('after reshard');
  });

  // Who was not asked for a moved slot since it came back asks the node that has left, as nobody has told it.
  check('clients go on while a node joins, gets slots, gives them back and leaves', async () => {
    await load.during('resize');
    await assertWell();
    await assertValues(300, 100);
    await assertHeard('after resize');
  });

  check('a client follows when a primary is killed and its replica takes over', async () => {
    await disturb('settle');
    await load.during('kill');
    await load.takeStock();
    await load.during('settle');
    await assertWell();
    await assertValues(0, 50);
    await assertHeard('after kill');
  });
}

module.exports = { clusterChecks, nodes, password };
