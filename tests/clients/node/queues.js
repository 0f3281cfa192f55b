// queues.js: a job queue as BullMQ lays it out, without its scripts: lists of the waiting and the active,
// sorted sets of the delayed and the completed with a marker to wait for, a hash a job, and a stream of
// events, and the same work shared out by a stream's consumer groups.
//
// The checks speak to an adapter, so that each library is used through its own methods and its own forms
// of replies: entries of a stream come as [id, fields], what is not there as null. One connection an
// adapter; those that wait have their own.
'use strict';

const { assert, check, eventually } = require('./checks');

const WORKERS = 4;
const STOP = 'stop';

const numbers = (count, from = 0) => Array.from({ length: count }, (_, i) => String(from + i));
const inOrder = (texts) => [...texts].sort((a, b) => a - b);
const ids = (entries) => entries.map(([id]) => id);

// open(): a new connection as an adapter. Each check begins with an empty server.
function queueChecks(label, open) {
  let main;

  function checkOnEmpty(name, run) {
    check(`${label}: ${name}`, async () => {
      main ??= await open();
      await main.flush();
      await run(main);
    });
  }

  const waiting = (count) =>
    eventually(`${count} connections wait`, async () => {
      const info = await main.info('clients');
      return Number(/blocked_clients:(\d+)/.exec(info)[1]) === count;
    });

  const openMany = (count) => Promise.all(Array.from({ length: count }, open));

  checkOnEmpty('a job is a hash with counters', async (q) => {
    await q.saveJob('job:1', { name: 'mail', data: '{"to":"žluť"}', attempts: '0' });
    assert.deepEqual(await q.job('job:1'), { name: 'mail', data: '{"to":"žluť"}', attempts: '0' });
    assert.equal(await q.countInJob('job:1', 'attempts', 3), 3);
    assert.deepEqual(await q.jobFields('job:1', ['attempts', 'none', 'name']), ['3', null, 'mail']);
    assert.deepEqual(await q.job('job:2'), {});
  });

  checkOnEmpty('workers that wait for a list take each job once and finish it in one go', async (q) => {
    const workers = await openMany(WORKERS);
    const runs = workers.map(async (worker) => {
      const mine = [];
      for (;;) {
        const id = await worker.moveWhenThere('wait', 'active', 0);
        if (id === STOP) return mine;
        mine.push(id);
        assert.deepEqual(await worker.finish(id, 1_700_000_000_000 + Number(id)), [1, 1]);
      }
    });
    await waiting(WORKERS);
    await Promise.all(numbers(1000).map((id) => q.push('wait', id)));
    for (let i = 0; i < WORKERS; i++) await q.push('wait', STOP);
    const done = await Promise.all(runs);
    assert.deepEqual(inOrder(done.flat()), numbers(1000));
    for (const mine of done) assert.deepEqual(mine, inOrder(mine));
    assert.deepEqual(await q.range('active'), Array(WORKERS).fill(STOP));
    assert.deepEqual(await q.due('completed', '+inf', 2000), numbers(1000));
    assert.equal(await q.length('wait'), 0);
  });

  checkOnEmpty('jobs of a dead worker are moved back to the end that is served next', async (q) => {
    for (const id of ['1', '2', '3']) await q.push('wait', id);
    assert.equal(await q.move('wait', 'active'), '1');
    assert.equal(await q.move('wait', 'active'), '2');
    assert.deepEqual(await q.range('active'), ['2', '1']);
    assert.equal(await q.moveBack('active', 'wait'), '2');
    assert.equal(await q.moveBack('active', 'wait'), '1');
    assert.equal(await q.moveBack('active', 'wait'), null);
    assert.deepEqual(await q.range('wait'), ['3', '2', '1']);
  });

  checkOnEmpty('workers that wait for the marker are woken one by one, in their order', async (q) => {
    const workers = await openMany(3);
    const woken = [];
    for (const [i, worker] of workers.entries()) {
      woken.push(worker.popMarker('marker', 0));
      await waiting(i + 1);
    }
    for (const [i, one] of woken.entries()) {
      await q.schedule('marker', i + 0.5, `m${i}`);
      assert.deepEqual(await one, ['m' + i, i + 0.5]);
      await waiting(2 - i);
    }
    assert.equal(await q.popMarker('marker', 0.001), null);
    await q.schedule('marker', 2, 'b');
    await q.schedule('marker', 1, 'a');
    assert.deepEqual(await q.popMarker('marker', 0.001), ['a', 1]);
  });

  checkOnEmpty('delayed jobs become due by their time, each moved by one worker', async (q) => {
    const start = 1_700_000_000_000;
    for (const id of numbers(200)) await q.schedule('delayed', (start + Number(id)) * 4096, id);
    assert.deepEqual(await q.due('delayed', (start + 4) * 4096, 100), numbers(5));
    assert.deepEqual(await q.due('delayed', '+inf', 2), numbers(2));
    const promote = async (worker) => {
      let moved = 0;
      for (;;) {
        const due = await worker.due('delayed', (start + 149) * 4096, 7);
        if (due.length === 0) return moved;
        for (const id of due) {
          if ((await worker.unschedule('delayed', id)) === 0) continue;
          await worker.push('wait', id);
          moved++;
        }
      }
    };
    const moved = await Promise.all((await openMany(WORKERS)).map(promote));
    assert.equal(moved.reduce((sum, one) => sum + one), 150);
    assert.deepEqual(inOrder(await q.range('wait')), numbers(150));
    assert.deepEqual(await q.due('delayed', '+inf', 1000), numbers(50, 150));
  });

  checkOnEmpty('the log of events is cut to about its length and read from both ends', async (q) => {
    const added = [];
    for (const id of numbers(1000)) added.push(await q.log('events', { event: 'added', job: id }, 100));
    assert.equal(new Set(added).size, 1000);
    const kept = await q.entries('events');
    assert.ok(kept.length >= 100 && kept.length < 1000, `${kept.length} entries kept`);
    const sent = added.map((id, i) => [id, { event: 'added', job: String(i) }]);
    assert.deepEqual(kept, sent.slice(-kept.length));
    assert.deepEqual(ids(await q.entries('events', `(${added.at(-3)}`)), added.slice(-2));
    assert.deepEqual(await q.describe('events'), { length: kept.length, last: added.at(-1), groups: 0 });
  });

  checkOnEmpty('listeners at the end of the log see all that comes after, without a gap', async (q) => {
    await q.log('events', { n: 'before' });
    const listeners = await openMany(3);
    const first = listeners.map((listener) => listener.follow('events', '$', 0));
    await waiting(3);
    const sent = [];
    for (const n of numbers(300)) sent.push([await q.log('events', { n }), { n }]);
    const heard = await Promise.all(
      listeners.map(async (listener, i) => {
        const entries = await first[i];
        while (entries.length < 300) entries.push(...(await listener.follow('events', entries.at(-1)[0], 0)));
        return entries;
      }),
    );
    for (const entries of heard) assert.deepEqual(entries, sent);
    assert.equal(await q.follow('events', sent.at(-1)[0], 1), null);
  });

  checkOnEmpty('two consumers of a group share the entries, and each acknowledges its own', async (q) => {
    await q.createGroup('jobs', 'workers');
    await assert.rejects(q.createGroup('jobs', 'workers'), /BUSYGROUP Consumer Group name already exists/);
    const pair = await openMany(2);
    const runs = pair.map(async (consumer, i) => {
      const mine = [];
      for (;;) {
        const [[id, fields]] = await consumer.take('jobs', 'workers', `c${i}`, 1, 0);
        assert.equal(await consumer.acknowledge('jobs', 'workers', id), 1);
        if (fields.n === STOP) return mine;
        mine.push(fields.n);
      }
    });
    await waiting(2);
    for (const n of numbers(400)) await q.log('jobs', { n });
    for (let i = 0; i < 2; i++) await q.log('jobs', { n: STOP });
    const done = await Promise.all(runs);
    assert.deepEqual(inOrder(done.flat()), numbers(400));
    for (const mine of done) assert.deepEqual(mine, inOrder(mine));
    assert.deepEqual(await q.pending('jobs', 'workers'), { count: 0, consumers: {} });
    const group = { name: 'workers', consumers: 2, pending: 0, read: 402, lag: 0 };
    assert.deepEqual(await q.groups('jobs'), [group]);
  });

  checkOnEmpty('entries of a dead consumer are listed, claimed and acknowledged once', async (q) => {
    await q.createGroup('jobs', 'workers');
    const sent = [];
    for (const n of numbers(10)) sent.push(await q.log('jobs', { n }));
    const dying = await open();
    assert.deepEqual(ids(await dying.take('jobs', 'workers', 'dying', 6, 1)), sent.slice(0, 6));
    dying.kill();
    assert.deepEqual(await q.pending('jobs', 'workers'), { count: 6, consumers: { dying: 6 } });
    const listed = sent.slice(0, 6).map((id) => ({ id, consumer: 'dying', deliveries: 1 }));
    assert.deepEqual(await q.listPending('jobs', 'workers'), listed);
    assert.deepEqual(await q.claim('jobs', 'workers', 'careful', [sent[5]]), [[sent[5], { n: '5' }]]);
    const two = await q.claimIdle('jobs', 'workers', 'heir', '0-0', 2);
    assert.deepEqual(two, { next: sent[2], entries: [[sent[0], { n: '0' }], [sent[1], { n: '1' }]] });
    const rest = await q.claimIdle('jobs', 'workers', 'heir', two.next, 3);
    assert.deepEqual(ids(rest.entries), sent.slice(2, 5));
    const owners = { careful: 1, heir: 5 };
    assert.deepEqual(await q.pending('jobs', 'workers'), { count: 6, consumers: owners });
    assert.deepEqual(await q.consumers('jobs', 'workers'), { ...owners, dying: 0 });
    assert.deepEqual((await q.listPending('jobs', 'workers')).map((one) => one.deliveries), Array(6).fill(2));
    assert.equal(await q.acknowledge('jobs', 'workers', sent[0]), 1);
    assert.equal(await q.acknowledge('jobs', 'workers', sent[0]), 0);
    assert.deepEqual(ids(await q.take('jobs', 'workers', 'heir', 10, 1)), sent.slice(6));
    assert.equal(await q.take('jobs', 'workers', 'heir', 10, 1), null);
    const group = { name: 'workers', consumers: 3, pending: 9, read: 10, lag: 0 };
    assert.deepEqual(await q.groups('jobs'), [group]);
  });
}

module.exports = { queueChecks };
