// failover.js: a client that goes through Sentinel: it finds the primary, and follows when another server takes over,
// because the primary was killed or by hand. What was acknowledged with WAIT 1 is still there.
//
// The checks speak to an adapter, so that each library goes through Sentinel in its own way. with_group runs the servers.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { assert, check, eventually } = require('./checks');

const GROUP = 'sessions';
const password = process.env.GROUP_PASSWORD;
const sentinels = process.env.SENTINELS.split(',').map((port) => ({ host: '127.0.0.1', port: Number(port) }));
const ENOUGH = 100; // writes before the kill, and once more after it

const askSentinel = (...words) =>
  execFileSync('redis-cli', ['-p', String(sentinels[0].port), 'SENTINEL', ...words, GROUP], { encoding: 'utf8' }).trim();
const primaryPort = () => Number(askSentinel('GET-MASTER-ADDR-BY-NAME').split('\n')[1]);
const kill = (port) => process.kill(Number(fs.readFileSync(`${process.env.GROUP_DIR}/${port}/pid`, 'utf8')), 'SIGKILL');
const portIn = (info) => Number(/tcp_port:(\d+)/.exec(info)[1]);

// What fails because nobody is primary right now is tried again.
const untilDone = (what, run) => eventually(what, () => run().catch(() => false));

// failoverChecks(open): open() is a connection as an adapter: save(key, value) writes and says how many replicas have
// it, get(key), getFromReplica(key), info(), subscribe(channel, listener), publish(channel, message).
function failoverChecks(open) {
  let client;
  let first;

  check('the primary is found by the name of its group', async () => {
    client = await open();
    first = primaryPort();
    assert.ok((await client.save('k', 'v')) >= 1);
    const info = await client.info();
    assert.match(info, /role:master/);
    assert.equal(portIn(info), first);
    await untilDone('a replica answers', async () => (await client.getFromReplica('k')) === 'v');
  });

  check('a client follows when the primary is killed, and nothing acknowledged is lost', async () => {
    let heard = 0;
    await client.subscribe('news', () => heard++);
    assert.ok((await client.publish('news', 'before')) >= 1);
    await eventually('the message before', () => heard > 0);
    const saved = [];
    let killed = false;
    let after = 0; // of those that were saved, by another server
    const writer = eventually('enough writes before and after', async () => {
      const number = saved.length + 1;
      // A number is written again if nobody acknowledged it.
      if ((await client.save(`key:${number}`, `value ${number}`).catch(() => 0)) < 1) return false;
      saved.push(number);
      if (killed && portIn(await client.info()) !== first) after++;
      return after >= ENOUGH;
    });
    await Promise.race([writer, eventually('enough writes before', () => saved.length >= ENOUGH)]);
    kill(first);
    killed = true;
    await writer;
    assert.notEqual(primaryPort(), first);
    assert.equal(portIn(await client.info()), primaryPort());
    for (const i of saved) assert.equal(await client.get(`key:${i}`), `value ${i}`);
    heard = 0;
    await untilDone('a message after', async () => (await client.publish('news', 'after')) >= 1 && heard > 0);
  });

  check('a client follows a failover by hand, and no connection stays with the old primary', async () => {
    const old = primaryPort();
    await eventually('Sentinel begins', () => askSentinel('FAILOVER') === 'OK');
    await eventually('another primary', () => primaryPort() !== old);
    await untilDone('a write', async () => (await client.save('moved', 'v')) >= 1);
    const info = await client.info();
    assert.match(info, /role:master/);
    assert.equal(portIn(info), primaryPort());
    assert.equal(await client.get('k'), 'v');
  });
}

module.exports = { failoverChecks, GROUP, password, sentinels };
