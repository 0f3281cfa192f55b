// bullmq.js MODULE [CLIENT]: BullMQ, whose every step is a Lua script, as applications use it. Version 6 takes the
// client library that is installed beside it, version 5 brings its own.
'use strict';

const { assert, check, eventually, Inbox, libraries, main } = require('./checks');
const [{ Queue, Worker, QueueEvents, FlowProducer, UnrecoverableError }] = libraries(process.argv.slice(2));
const { Redis } = require('ioredis5'); // looks at the keys

const port = Number(process.env.SESSION_PORT);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const raw = new Redis(port, '127.0.0.1');
let open = []; // what the running check has to close

const numbers = (count) => Array.from({ length: count }, (_, i) => i);
const inOrder = (values) => [...values].sort((a, b) => a - b);

function keep(thing) {
  thing.on('error', () => {}); // connections that are closed in the middle report it; the checks see the effect
  open.push(thing);
  return thing;
}

const openQueue = (name, options) => keep(new Queue(name, { connection, ...options }));

async function openWorker(name, run, options) {
  const worker = keep(new Worker(name, run, { connection, ...options }));
  await worker.waitUntilReady();
  return worker;
}

// The events of a queue by their name: await events.completed.next().
async function listen(name, kinds) {
  const source = keep(new QueueEvents(name, { connection }));
  await source.waitUntilReady();
  // It is ready before its first XREAD, which begins with what comes next.
  await eventually('the events are waited for', async () => (await raw.client('LIST')).includes('cmd=xread'));
  const inboxes = Object.fromEntries(kinds.map((kind) => [kind, new Inbox()]));
  for (const kind of kinds) source.on(kind, (event) => inboxes[kind].push(event));
  return inboxes;
}

async function nextOf(inbox, count) {
  const found = [];
  while (found.length < count) found.push(await inbox.next());
  return found;
}

// Every check has an empty server and leaves no connection of its own.
function checkQueue(label, run) {
  check(label, async () => {
    await raw.flushall();
    try {
      await run(label.replaceAll(/\W+/g, '-'));
    } finally {
      await Promise.all(open.map((thing) => thing.close()));
      open = [];
    }
  });
}

checkQueue('two workers do each job once and return its result', async (name) => {
  const events = await listen(name, ['completed']);
  const queue = openQueue(name);
  const done = [];
  const run = async (job) => {
    done.push(job.data.n);
    return { square: job.data.n ** 2, text: 'žluť' };
  };
  await openWorker(name, run, { concurrency: 5 });
  await openWorker(name, run, { concurrency: 5 });
  const singles = await Promise.all(numbers(100).map((n) => queue.add('square', { n })));
  const bulk = await queue.addBulk(numbers(100).map((n) => ({ name: 'square', data: { n: 100 + n } })));
  const completed = await nextOf(events.completed, 200);
  const ids = [...singles, ...bulk].map((job) => job.id);
  assert.deepEqual(completed.map((event) => event.jobId).sort(), ids.sort());
  assert.deepEqual(inOrder(done), numbers(200));
  assert.equal(await queue.getCompletedCount(), 200);
  const job = await queue.getJob(singles[7].id);
  assert.deepEqual(job.returnvalue, { square: 49, text: 'žluť' });
  assert.equal(await job.getState(), 'completed');
  assert.ok(job.processedOn >= job.timestamp && job.finishedOn >= job.processedOn);
  assert.equal((await queue.getCompleted(0, 9)).length, 10);
});

checkQueue('jobs run in their order: first in, first out, then by priority; or last in, first out', async (name) => {
  const queue = openQueue(name);
  const expected = ['last', 'a', 'b', 'p1', 'p2a', 'p2b', 'p9'];
  const wanted = [['p9', { priority: 9 }], ['a'], ['p2a', { priority: 2 }], ['b'], ['p1', { priority: 1 }]];
  wanted.push(['p2b', { priority: 2 }], ['last', { lifo: true }]);
  for (const [id, options] of wanted) await queue.add(id, {}, options);
  assert.deepEqual(await queue.getCountsPerPriority([0, 1, 2, 9]), { 0: 3, 1: 1, 2: 2, 9: 1 });
  assert.equal(await queue.count(), 7);
  const done = [];
  await openWorker(name, async (job) => done.push(job.name));
  await eventually('all are done', () => done.length === 7);
  assert.deepEqual(done, expected);
});

checkQueue('priorities can be changed', async (name) => {
  const queue = openQueue(name);
  const job = await queue.add('late', {}, { priority: 100 });
  await queue.add('early', {}, { priority: 10 });
  await job.changePriority({ priority: 1 });
  const done = [];
  await openWorker(name, async (one) => done.push(one.name));
  await eventually('both are done', () => done.length === 2);
  assert.deepEqual(done, ['late', 'early']);
});

checkQueue('delayed jobs wait for their time, and can be promoted or put off', async (name) => {
  const queue = openQueue(name);
  const done = [];
  await openWorker(name, async (job) => done.push([job.name, Date.now() - job.timestamp]));
  const far = await queue.add('far', {}, { delay: 3_600_000 });
  const moved = await queue.add('moved', {}, { delay: 3_600_000 });
  assert.equal(await queue.getDelayedCount(), 2);
  assert.equal(await far.getState(), 'delayed');
  await queue.add('second', {}, { delay: 250 });
  await queue.add('first', {}, { delay: 150 });
  await eventually('two are done', () => done.length === 2);
  assert.deepEqual(done.map(([one]) => one), ['first', 'second']);
  assert.ok(done[0][1] >= 149 && done[1][1] >= 249, `not before their time: ${done}`);
  await far.promote();
  await eventually('the promoted is done', () => done.length === 3);
  await moved.changeDelay(20);
  await eventually('the other is done', () => done.length === 4);
  assert.deepEqual(done.slice(2).map(([one]) => one), ['far', 'moved']);
});

checkQueue('a failing job is tried again after its pauses and succeeds', async (name) => {
  const events = await listen(name, ['completed', 'failed', 'waiting']);
  const queue = openQueue(name);
  const times = { fixed: [], exponential: [] };
  await openWorker(name, async (job) => {
    times[job.name].push(Date.now());
    if (job.attemptsMade < 2) throw new Error(`no. ${job.attemptsMade}`);
    return job.attemptsMade;
  });
  const fixed = await queue.add('fixed', {}, { attempts: 3, backoff: { type: 'fixed', delay: 30 } });
  const growing = await queue.add('exponential', {}, { attempts: 3, backoff: { type: 'exponential', delay: 30 } });
  const completed = await nextOf(events.completed, 2);
  assert.deepEqual(completed.map((event) => event.jobId).sort(), [fixed.id, growing.id].sort());
  const pauses = ([a, b, c]) => [b - a, c - b];
  assert.ok(pauses(times.fixed).every((ms) => ms >= 29), `fixed: ${pauses(times.fixed)}`);
  const [first, second] = pauses(times.exponential);
  assert.ok(first >= 29 && second >= 59, `exponential: ${first}, ${second}`);
  assert.equal(events.failed.size, 0); // that is for the last failure
  const job = await queue.getJob(fixed.id);
  assert.deepEqual([job.attemptsMade, job.returnvalue, job.stacktrace.length], [3, 2, 2]);
});

checkQueue('a job that has failed for good keeps its reason, and can be retried by hand', async (name) => {
  const events = await listen(name, ['completed', 'failed', 'retries-exhausted']);
  const queue = openQueue(name);
  let broken = true;
  await openWorker(name, async (job) => {
    if (!broken) return 'mended';
    throw job.name === 'hopeless' ? new UnrecoverableError('at once') : new Error('no luck: žluť');
  });
  const job = await queue.add('unlucky', {}, { attempts: 2 });
  const hopeless = await queue.add('hopeless', {}, { attempts: 50 });
  const failed = await nextOf(events.failed, 2);
  const reasons = Object.fromEntries(failed.map((event) => [event.jobId, event.failedReason]));
  assert.deepEqual(reasons, { [job.id]: 'no luck: žluť', [hopeless.id]: 'at once' });
  assert.deepEqual(await events['retries-exhausted'].next().then((event) => event.jobId), job.id);
  const stored = await queue.getJob(job.id);
  assert.equal(await stored.getState(), 'failed');
  assert.match(stored.stacktrace[0], /no luck: žluť[^]*bullmq\.js/);
  assert.equal(await queue.getFailedCount(), 2);
  broken = false;
  await stored.retry();
  assert.equal((await events.completed.next()).returnvalue, 'mended');
  await queue.retryJobs({ state: 'failed' });
  assert.equal((await events.completed.next()).jobId, hopeless.id);
  assert.deepEqual(await queue.getJobCounts('failed', 'completed'), { failed: 0, completed: 2 });
});

checkQueue('listeners hear of every state, of progress and in order; logs are kept', async (name) => {
  const kinds = ['added', 'waiting', 'active', 'progress', 'completed', 'drained'];
  const events = await listen(name, kinds);
  const queue = openQueue(name);
  await openWorker(name, async (job) => {
    for (const percent of [0, 50, 100]) await job.updateProgress(percent);
    await job.updateProgress({ step: 'end', deep: [1, null] });
    await job.log('one');
    await job.log('two');
    await job.updateData({ changed: true });
    return 'result';
  });
  const { id } = await queue.add('talk', { changed: false });
  const completed = await events.completed.next();
  assert.deepEqual([completed.jobId, completed.returnvalue, completed.prev], [id, 'result', 'active']);
  assert.equal((await events.added.next()).name, 'talk');
  assert.deepEqual([(await events.waiting.next()).jobId, (await events.active.next()).prev], [id, 'waiting']);
  const progress = await nextOf(events.progress, 4);
  assert.deepEqual(progress.map((event) => event.data), [0, 50, 100, { step: 'end', deep: [1, null] }]);
  await events.drained.next();
  assert.deepEqual(await queue.getJobLogs(id), { logs: ['one', 'two'], count: 2 });
  const job = await queue.getJob(id);
  assert.deepEqual([job.data, job.progress], [{ changed: true }, { step: 'end', deep: [1, null] }]);
});

checkQueue('a flow: the parent runs after its children and sees their results', async (name) => {
  const events = await listen(name, ['completed', 'waiting-children']);
  const flows = keep(new FlowProducer({ connection }));
  const done = [];
  await openWorker(`${name}-parts`, async (job) => (done.push(job.data.n), job.data.n * 10), { concurrency: 3 });
  await openWorker(name, async (job) => {
    const values = Object.values(await job.getChildrenValues());
    done.push(job.name);
    return values.reduce((sum, value) => sum + value, 0);
  });
  const part = (n) => ({ name: 'part', queueName: `${name}-parts`, data: { n } });
  const middle = { name: 'middle', queueName: name, children: [part(3), part(4)] };
  const tree = await flows.add({ name: 'top', queueName: name, children: [part(1), part(2), middle] });
  assert.equal(tree.children.length, 3);
  assert.equal((await events.completed.next()).returnvalue, 70);
  const top = await events.completed.next();
  assert.deepEqual([top.jobId, top.returnvalue], [tree.job.id, 100]);
  assert.deepEqual(inOrder(done.slice(0, -1).filter(Number)), [1, 2, 3, 4]);
  assert.equal(done.at(-1), 'top');
  const read = await flows.getFlow({ id: tree.job.id, queueName: name });
  assert.deepEqual(read.children.map((child) => child.job.name).sort(), ['middle', 'part', 'part']);
  const { processed, unprocessed } = await tree.job.getDependenciesCount();
  assert.deepEqual([processed, unprocessed], [3, 0]);
});

checkQueue('a child that fails for good fails its parent, or is ignored, as the flow says', async (name) => {
  const events = await listen(name, ['failed', 'completed']);
  const flows = keep(new FlowProducer({ connection }));
  await openWorker(`${name}-parts`, async () => {
    throw new Error('child broken');
  });
  await openWorker(name, async (job) => Object.values(await job.getIgnoredChildrenFailures()));
  const child = (opts) => ({ name: 'part', queueName: `${name}-parts`, data: {}, opts });
  const strict = await flows.add({ name: 'strict', queueName: name, children: [child({ failParentOnFailure: true })] });
  const failed = await events.failed.next();
  assert.equal(failed.jobId, strict.job.id);
  assert.match(failed.failedReason, /child .* failed/);
  await flows.add({ name: 'lenient', queueName: name, children: [child({ ignoreDependencyOnFailure: true })] });
  assert.deepEqual((await events.completed.next()).returnvalue, ['child broken']);
});

checkQueue('the rate limiter spreads jobs over time', async (name) => {
  const queue = openQueue(name);
  await queue.addBulk(numbers(12).map((n) => ({ name: 'limited', data: { n } })));
  const times = [];
  const limiter = { max: 4, duration: 200 };
  const run = async (job) => times.push([Date.now(), job.data.n]);
  for (let i = 0; i < 2; i++) await openWorker(name, run, { limiter, concurrency: 4 });
  await eventually('all are done', () => times.length === 12);
  assert.deepEqual(inOrder(times.map(([, n]) => n)), numbers(12));
  const began = times.map(([time]) => time);
  // The n-th and the fifth after it are never of the same window; clocks may be a few milliseconds apart.
  for (let i = 8; i < 12; i++) assert.ok(began[i] - began[i - 8] >= 190, `windows: ${began.map((t) => t - began[0])}`);
});

checkQueue('a worker can hold its queue back, and goes on after that', async (name) => {
  const queue = openQueue(name);
  const seen = [];
  const worker = await openWorker(
    name,
    async (job) => {
      seen.push([job.attemptsStarted, Date.now()]);
      if (job.attemptsStarted > 1) return;
      await worker.rateLimit(150);
      throw Worker.RateLimitError();
    },
    { limiter: { max: 100, duration: 1000 } },
  );
  await queue.add('held', {});
  await eventually('it ran again', () => seen.length === 2);
  assert.deepEqual(seen.map(([start]) => start), [1, 2]);
  assert.ok(seen[1][1] - seen[0][1] >= 140);
  await eventually('it is done', async () => (await queue.getCompletedCount()) === 1);
});

checkQueue('a paused queue keeps its jobs until it is resumed', async (name) => {
  const events = await listen(name, ['paused', 'resumed']);
  const queue = openQueue(name);
  const done = [];
  const worker = await openWorker(name, async (job) => done.push(job.data.n));
  await queue.pause();
  await events.paused.next();
  assert.equal(await queue.isPaused(), true);
  await queue.addBulk(numbers(20).map((n) => ({ name: 'later', data: { n } })));
  assert.equal(await queue.count(), 20);
  assert.deepEqual(done, []);
  await queue.resume();
  await events.resumed.next();
  await eventually('all are done', () => done.length === 20);
  assert.deepEqual(done, numbers(20));
  await worker.pause();
  await queue.add('later', { n: 20 });
  assert.equal(await queue.getWaitingCount(), 1);
  worker.resume();
  await eventually('that one too', () => done.length === 21);
});

checkQueue('a scheduler repeats its job as often as it should', async (name) => {
  const queue = openQueue(name);
  const done = [];
  await openWorker(name, async (job) => done.push([job.name, job.data.x, Date.now()]));
  const template = { name: 'tick', data: { x: 1 } };
  await queue.upsertJobScheduler('every', { every: 60, limit: 4 }, template);
  await queue.upsertJobScheduler('cron', { pattern: '0 0 1 1 *', tz: 'Europe/Prague' }, { name: 'yearly' });
  const schedulers = await queue.getJobSchedulers();
  assert.deepEqual(schedulers.map((one) => one.key).sort(), ['cron', 'every']);
  assert.ok(schedulers.find((one) => one.key === 'cron').next > Date.now());
  await eventually('it ran four times', () => done.length === 4);
  assert.deepEqual(done.map(([job, x]) => [job, x]), Array(4).fill(['tick', 1]));
  const span = done[3][2] - done[0][2];
  assert.ok(span >= 100, `spread over ${span} ms`); // the first may be late, the others are in their time
  assert.equal(await queue.removeJobScheduler('cron'), true);
  assert.equal(await queue.removeJobScheduler('cron'), false);
  await queue.upsertJobScheduler('every', { every: 3_600_000 }, { name: 'hourly' });
  assert.equal((await queue.getJobScheduler('every')).every, 3_600_000);
  assert.equal(await queue.getJobSchedulersCount(), 1);
});

checkQueue('a job with an id or a deduplication is added once', async (name) => {
  const events = await listen(name, ['duplicated', 'deduplicated']);
  const queue = openQueue(name);
  const mail = await Promise.all(numbers(10).map(() => queue.add('mail', {}, { jobId: 'mail-7' })));
  assert.deepEqual([...new Set(mail.map((job) => job.id))], ['mail-7']);
  assert.equal((await nextOf(events.duplicated, 9)).length, 9);
  const first = await queue.add('index', {}, { deduplication: { id: 'index', ttl: 60_000 } });
  const second = await queue.add('index', {}, { deduplication: { id: 'index', ttl: 60_000 } });
  assert.equal(second.id, first.id);
  assert.equal((await events.deduplicated.next()).deduplicationId, 'index');
  assert.equal(await queue.getDeduplicationJobId('index'), first.id);
  assert.equal(await queue.count(), 2);
  assert.equal(await queue.removeDeduplicationKey('index'), 1);
  assert.notEqual((await queue.add('index', {}, { deduplication: { id: 'index' } })).id, first.id);
});

checkQueue('a job of a worker that died is done by another', async (name) => {
  const events = await listen(name, ['stalled', 'completed']);
  const queue = openQueue(name);
  let started;
  const busy = new Promise((resolve) => (started = resolve));
  const options = { lockDuration: 300, skipStalledCheck: true };
  const dying = await openWorker(name, () => (started(), new Promise(() => {})), options);
  const { id } = await queue.add('heavy', {});
  await busy;
  await dying.close(true); // without waiting for the job, whose lock then runs out
  await openWorker(name, async () => 'second try', { stalledInterval: 100 });
  assert.equal((await events.stalled.next()).jobId, id);
  const completed = await events.completed.next();
  assert.deepEqual([completed.jobId, completed.returnvalue], [id, 'second try']);
  assert.equal((await queue.getJob(id)).stalledCounter, 1);
});

checkQueue('workers are found by the names of their connections', async (name) => {
  const queue = openQueue(name);
  for (const one of ['first', 'second']) await openWorker(name, async () => {}, { name: one });
  await eventually('both are listed', async () => (await queue.getWorkersCount()) === 2);
  const listed = (await queue.getWorkers()).map((worker) => worker.rawname.split(':').at(-1));
  assert.deepEqual(listed.sort(), ['first', 'second']);
});

checkQueue('finished jobs are kept up to a number, cleaned, drained and obliterated', async (name) => {
  const queue = openQueue(name, { defaultJobOptions: { removeOnComplete: { count: 5 } } });
  const events = await listen(name, ['completed']);
  const worker = await openWorker(name, async () => {});
  await queue.addBulk(numbers(40).map((n) => ({ name: 'short', data: { n } })));
  await nextOf(events.completed, 40);
  await eventually('five are kept', async () => (await queue.getCompletedCount()) === 5);
  assert.equal((await queue.clean(0, 3, 'completed')).length, 3);
  assert.equal(await queue.getCompletedCount(), 2);
  await worker.close();
  await queue.addBulk(numbers(10).map((n) => ({ name: 'short', data: { n } })));
  const job = await queue.add('short', {}, { delay: 60_000 });
  await queue.drain();
  assert.deepEqual(await queue.getJobCounts('waiting', 'delayed'), { waiting: 0, delayed: 1 });
  await job.remove();
  await assert.rejects(job.remove().then(() => job.updateData({})), /Missing key for job/);
  assert.ok((await raw.keys(`bull:${name}:*`)).length > 0);
  await queue.addBulk(numbers(3000).map((n) => ({ name: 'short', data: { n } })));
  await queue.obliterate();
  assert.deepEqual(await raw.keys(`bull:${name}:*`), []);
});

main(async () => {
  await raw.flushall();
  await raw.quit();
});
