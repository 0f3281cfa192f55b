// page.js [PATTERN]: the page of an instance in a real browser, with real servers behind it.
//
// Each check has servers and pages of its own. What a server cannot be brought to in a second (a lost gigabyte, a replica
// that is silent for a minute) is put into its real /metrics on the way to the browser.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const harness = require('./harness');
const { launch, open } = require('./browser');
const { Server, eventually, pause, removeAll } = require('./server');

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true };

// A check is given the browser, and ways to start servers and to open their pages. Both end with it; and what a page must
// not do, none has done by then.
function check(name, run) {
  harness.check(name, async (browser) => {
    const servers = [], pages = [];
    const start = (options) => Server.start(options).then((server) => (servers.push(server), server));
    const watch = (server, options) => open(browser, server.url, options).then((page) => (pages.push(page), page));
    try {
      await run({ browser, start, watch });
      assert.deepEqual(pages.flatMap(({ sins }) => sins), []);
    } finally {
      await Promise.all(pages.map((page) => page.close().then(() => page.context().close())));
      await Promise.all(servers.map((server) => server.remove()));
    }
  });
}

// ---- what is on a page ----

const text = (page, selector) => page.locator(selector).innerText();
const keysOf = (page) => page.$$eval('#list li', (items) => items.map((item) => item.dataset.key).sort());
const findingOf = (page, key) => text(page, `#list li[data-key="${key}"]`);
const chartOf = (page, title) => page.locator('#charts figure').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
const figureOf = (page, title) => chartOf(page, title).locator('.figure span').innerText();
const linesOf = (page) => page.$$eval('#charts path[data-line]', (paths) => paths.map((path) => path.getAttribute('d')));

// Waits for what a page is to show. Its next scrape comes at once, not after two seconds: its clock is put forward whenever
// it waits for nothing but that.
function soon(page, what, condition) {
  return eventually(what, async () => {
    const found = await condition();
    if (!found && (await page.evaluate(() => timer !== 0))) await page.clock.fastForward(2000);
    return found;
  });
}

async function seesFinding(page, key, words) {
  await soon(page, `the finding ${key}`, async () => (await keysOf(page)).includes(key));
  const said = await findingOf(page, key);
  for (const word of [].concat(words)) assert.match(said, word);
}

const hasScraped = (page, n) => soon(page, `${n} scrapes`, () => page.evaluate((least) => samples.length >= least, n));

// Replaces the value of a sample, or adds it.
function withSample(scrape, sample, value) {
  const at = scrape.split('\n').filter((line) => !line.startsWith(`${sample} `));
  return [...at.filter((line) => line), `${sample} ${value}`, ''].join('\n');
}

// ---- load ----

async function readsAndWrites(connection, n) {
  await connection.flood(n, (i) => ['SET', `key:${i % 500}`, 'v'.repeat(100)]);
  await connection.flood(n, (i) => ['GET', `key:${i % 500}`]);
}

// ---- what a page shows ----

check('page_loads_and_says_who_the_server_is', async ({ start, watch }) => {
  const server = await start();
  const page = await watch(server);
  await hasScraped(page, 2);
  assert.equal(await text(page, 'h1'), `Trivet primary, port ${server.port}`);
  assert.match(await text(page, '#facts'), /version \d.*up \d+ s/s);
  assert.equal(await text(page, '#state'), 'live');
  assert.match(await page.title(), /^Trivet primary/);
});

check('page_draws_and_moves_under_load', async ({ start, watch }) => {
  const server = await start({ appendonly: 'yes', maxmemory: '100mb' });
  const connection = server.connect();
  let loading = true;
  const load = (async () => { while (loading) await readsAndWrites(connection, 500), await pause(50); })();
  load.catch(() => {}); // when the check has failed
  const page = await watch(server);
  await hasScraped(page, 3);
  const before = await linesOf(page);
  assert.ok(before.length >= 10, `${before.length} lines are drawn`);
  for (const line of before) assert.match(line, /^M[\d.]+ [\d.]+(L|$)/);
  for (const title of ['Operations', 'Memory', 'Latency', 'Clients', 'Network']) await soon(page, `the figure of ${title}`, async () => /[1-9]/.test(await figureOf(page, title)));
  assert.match(await figureOf(page, 'Workers'), /^[\d.]+ %$/);
  await soon(page, 'the hit ratio', async () => (await figureOf(page, 'Hit ratio')) === '100 %');
  const calls = () => page.locator('#slow tbody tr', { hasText: /^set/ }).locator('td').nth(2).innerText();
  const first = await calls();
  await soon(page, 'the calls of SET rise', async () => (await calls()) !== first);
  assert.notDeepEqual(await linesOf(page), before);
  assert.match(await text(page, '#persistence'), /on, last write good/);
  assert.match(await text(page, '#databases'), /500/);
  loading = false;
  await load;
});

check('all_is_well_where_nothing_is_wrong', async ({ start, watch }) => {
  const server = await start({ maxmemory: '100mb' });
  const connection = server.connect();
  const page = await watch(server);
  await hasScraped(page, 1);
  await readsAndWrites(connection, 2000);
  await hasScraped(page, 3);
  assert.deepEqual(await keysOf(page), []);
  assert.match(await text(page, '#well'), /All is well/);
  assert.equal(await text(page, '#said'), 'All is well.');
});

check('full_cache_is_a_note_and_not_a_fault', async ({ start, watch }) => {
  const server = await start({ maxmemory: '4mb', 'maxmemory-policy': 'allkeys-lru' });
  const connection = server.connect();
  const page = await watch(server);
  await hasScraped(page, 1);
  await connection.flood(6000, (i) => ['SET', `key:${i}`, 'v'.repeat(1000)]);
  await seesFinding(page, 'memory', [/Good to know/, /allkeys-lru/, /limit of 4 MB/]);
  assert.deepEqual(await keysOf(page), ['memory']);
  assert.match(await text(page, '#well'), /All is well/);
  await soon(page, 'evictions are drawn', async () => /evicted now .* and [1-9]/.test(await chartOf(page, 'Evictions and expirations').locator('svg').getAttribute('aria-label')));
});

// ---- findings ----

check('refused_writes_are_a_finding', async ({ start, watch }) => {
  const server = await start({ maxmemory: '4mb' });
  const connection = server.connect();
  const page = await watch(server);
  await hasScraped(page, 1);
  const replies = await connection.flood(6000, (i) => ['SET', `key:${i}`, 'v'.repeat(1000)]);
  const refused = replies.filter((reply) => reply.startsWith('-OOM')).length;
  assert.ok(refused > 0);
  await seesFinding(page, 'oom', [/Act now/, new RegExp(`${refused.toLocaleString('en')} writes refused`), /maxmemory/]);
  await seesFinding(page, 'memory', [/Look into it/, /noeviction/, /held by data/]);
  assert.ok(!(await page.locator('#well').isVisible()));
  assert.match(await page.title(), /^\(2\) /);
  assert.match(await text(page, '#errors'), /OOM/);
  assert.match(await text(page, '#said'), /Act now: Memory is full/);
});

check('low_hit_ratio_is_a_finding_if_there_are_enough_reads', async ({ start, watch }) => {
  const server = await start({ maxmemory: '100mb' });
  const connection = server.connect();
  const page = await watch(server);
  await hasScraped(page, 1);
  await connection.flood(900, (i) => ['GET', `none:${i}`]);
  await soon(page, 'the misses are drawn', () => page.evaluate(() => samples.some(({ v }) => v.ratio === 0)));
  assert.deepEqual(await keysOf(page), []);
  await connection.flood(1100, (i) => ['GET', `none:${i}`]);
  await seesFinding(page, 'hits', [/hit ratio is 0 % of [12],\d00 reads/, /more memory would not help/]);
});

check('low_hit_ratio_by_evictions_asks_for_memory', async ({ start, watch }) => {
  const server = await start({ maxmemory: '4mb', 'maxmemory-policy': 'allkeys-random' });
  const connection = server.connect();
  const page = await watch(server);
  await hasScraped(page, 1);
  await connection.flood(20000, (i) => ['SET', `key:${i}`, 'v'.repeat(1000)]);
  await connection.flood(20000, (i) => ['GET', `key:${i}`]);
  await seesFinding(page, 'hits', [/keys had to make room/, /raise maxmemory \(now 4 MB\)/]);
});

check('subscribers_that_are_cut_are_a_finding', async ({ start, watch }) => {
  const server = await start({ 'client-output-buffer-limit': 'pubsub 256kb 128kb 5' });
  const page = await watch(server);
  await hasScraped(page, 1);
  const subscriber = server.connect();
  subscriber.send('SUBSCRIBE', 'news').catch(() => {});
  const connection = server.connect();
  await eventually('it listens', async () => (await connection.send('PUBLISH', 'news', 'x')) === ':1');
  subscriber.stall();
  await eventually('it is cut', async () => (await connection.send('PUBLISH', 'news', 'v'.repeat(1 << 20))) === ':0');
  await seesFinding(page, 'cut', [/1 client cut/, /Subscribers read more slowly/]);
  assert.match(await text(page, '#pubsub'), /cut by an output limit\s+1/);
  subscriber.close();
});

check('failing_persistence_is_a_finding_until_it_works_again', async ({ start, watch }) => {
  const server = await start({ save: '3600 1', 'enable-protected-configs': 'yes' });
  const folder = path.join(server.folder, 'gone');
  fs.mkdirSync(folder);
  assert.equal(await server.once('CONFIG', 'SET', 'dir', folder), '+OK');
  fs.rmdirSync(folder);
  const page = await watch(server);
  await hasScraped(page, 1);
  assert.deepEqual(await keysOf(page), []);
  await server.once('SET', 'k', 'v');
  await server.once('BGSAVE');
  await seesFinding(page, 'persistence', [/Act now/, /BGSAVE failed/, /df/]);
  assert.match(await server.once('SET', 'k', 'v'), /^-MISCONF/);
  await soon(page, 'the refused write is told', async () => /1 write got MISCONF/.test(await findingOf(page, 'persistence')));
  assert.equal(await server.once('CONFIG', 'SET', 'dir', server.folder), '+OK');
  await server.once('BGSAVE');
  await soon(page, 'only the refused write is left', async () => /1 command refused/.test(await findingOf(page, 'persistence')));
  await page.clock.fastForward(121_000);
  await soon(page, 'all is well', () => page.locator('#well').isVisible());
});

check('clients_near_their_limit_and_past_it_are_findings', async ({ start, watch }) => {
  const server = await start({ maxclients: 20 });
  const page = await watch(server);
  await hasScraped(page, 1);
  const crowd = Array.from({ length: 19 }, () => server.connect());
  await Promise.all(crowd.map((connection) => connection.send('PING')));
  await seesFinding(page, 'clients', [/Look into it/, /\d\d clients of at most 20/, /maxclients/]);
  crowd.push(server.connect(), server.connect(), server.connect());
  await Promise.allSettled(crowd.map((connection) => connection.send('PING')));
  await soon(page, 'the refusal is told', async () => /Act now/.test(await findingOf(page, 'clients')));
  for (const connection of crowd) connection.close();
});

check('replica_shows_its_link_and_primary_its_replicas', async ({ start, watch }) => {
  const primary = await start();
  const replica = await start({ replicaof: `127.0.0.1 ${primary.port}` });
  const above = await watch(primary), below = await watch(replica);
  await soon(above, 'the primary lists it', async () => (await text(above, '#replicas').catch(() => '')).includes(`127.0.0.1:${replica.port}`));
  await soon(below, 'the link is up', async () => /Link to the primary\s+up/.test(await text(below, '#replication').catch(() => '')));
  assert.match(await text(below, 'h1'), /replica/);
  assert.ok(!(await keysOf(below)).includes('link'));
  await primary.stop();
  await seesFinding(below, 'link', [/Act now/, /down/]);
  await seesFinding(above, 'unreachable', /cannot be reached/);
});

check('server_that_ends_is_told_and_its_return_too', async ({ start, watch }) => {
  const server = await start();
  const page = await watch(server);
  await hasScraped(page, 2);
  await server.stop('SIGKILL');
  await seesFinding(page, 'unreachable', [/Act now/, /cannot be reached since \d\d:\d\d:\d\d/, /keeps trying/]);
  assert.equal(await text(page, '#state'), 'no answer');
  await server.launch();
  await soon(page, 'all is well again', async () => (await text(page, '#state')) === 'live' && (await page.locator('#well').isVisible()));
  assert.deepEqual(await keysOf(page), []);
  await hasScraped(page, 4);
  assert.ok(!(await page.locator('#charts svg').first().getAttribute('aria-label')).includes('NaN'));
});

// What takes too long to provoke: [finding, samples that replace the server's own, words].
const RARE = [
  ['fragmentation', { trivet_mem_fragmentation_ratio: 1.8, trivet_mem_fragmentation_bytes: 2e8 }, /1.8 times/],
  ['delayed', { trivet_aof_last_fsync_seconds: 3.5 }, /fsync took 3.5 s/],
  ['lag', { 'trivet_replication_lag_seconds{replica="10.0.0.2:6379"}': 42 }, /10\.0\.0\.2:6379 was last heard of 42 s ago/],
  ['loading', { trivet_loading: 1, trivet_loading_total_bytes: 1e9, trivet_loading_loaded_bytes: 25e7, trivet_loading_eta_seconds: 12 }, /25 %.*12 s/s],
  ['certificate', { trivet_tls_server_cert_expires_in_seconds: 10 * 86400 }, /expires in 10 d/],
  ['memory', { trivet_maxmemory_bytes: 0, trivet_used_memory_bytes: 9e9, trivet_total_system_memory_bytes: 1e10 }, /has no limit: 90 %/],
];
const HARMLESS = [
  { trivet_tls_server_cert_expires_in_seconds: 15 * 86400 },
  { trivet_mem_fragmentation_ratio: 3, trivet_mem_fragmentation_bytes: 5e7 },
  { trivet_mem_fragmentation_ratio: 1.4, trivet_mem_fragmentation_bytes: 5e9 },
  { trivet_aof_last_fsync_seconds: 1.9 },
  { 'trivet_replication_lag_seconds{replica="10.0.0.2:6379"}': 9 },
];
const replaced = (changes) => (scrape) => Object.entries(changes).reduce((all, [sample, value]) => withSample(all, sample, value), scrape);

// One page, whose scrapes are changed in one way after the other.
check('rare_findings_come_with_their_numbers_and_go', async ({ start, watch }) => {
  const server = await start();
  let change = (scrape) => scrape;
  const page = await watch(server, { change: (scrape) => change(scrape) });
  for (const [key, changes, words] of RARE) {
    change = replaced(changes);
    await seesFinding(page, key, words);
    assert.deepEqual(await keysOf(page), [key]);
    change = (scrape) => scrape;
    await soon(page, `${key} is over`, async () => (await keysOf(page)).length === 0);
  }
});

check('numbers_below_the_thresholds_are_no_findings', async ({ start, watch }) => {
  const server = await start();
  let changes = {};
  const page = await watch(server, { change: (scrape) => replaced(changes)(scrape) });
  for (changes of HARMLESS) {
    await hasScraped(page, 2 + (await page.evaluate(() => samples.length)));
    assert.deepEqual(await keysOf(page), [], JSON.stringify(changes));
    assert.ok(await page.locator('#well').isVisible());
  }
});

check('words_of_strangers_stay_words', async ({ start, watch }) => {
  const server = await start();
  const evil = '<img src=x onerror=alert(1)>';
  const page = await watch(server, { change: replaced({
    [`trivet_errors_total{code="${evil}"}`]: 3, [`trivet_command_calls_total{command="${evil}"}`]: 3,
    [`trivet_replication_lag_bytes{replica="a\\"}b\\\\c\\nd,${evil}"}`]: 3, [`trivet_memory_held_bytes{by="${evil}"}`]: 3e9,
  }) });
  for (const table of ['#errors', '#slow', '#replicas', '#holders']) await soon(page, `${table} shows it`, async () => (await text(page, table)).includes(evil));
  assert.ok((await page.locator('#replicas tbody th').textContent()).startsWith('a"}b\\c\nd,'));
  assert.equal(await page.locator('img').count(), 0);
});

// ---- access ----

check('password_is_asked_for_and_works', async ({ browser, start, watch }) => {
  const server = await start({ requirepass: 'open sesame' });
  const refused = await browser.newContext();
  assert.equal((await refused.request.get(server.url)).status(), 401);
  await refused.close();
  const page = await watch(server, { httpCredentials: { username: 'default', password: 'open sesame' } });
  await hasScraped(page, 2);
  assert.equal(await text(page, '#state'), 'live');
});

check('page_works_where_the_address_has_the_password', async ({ browser, start }) => {
  const server = await start({ requirepass: 'sesame' });
  const page = await open(browser, server.url.replace('//', '//default:sesame@'));
  await soon(page, 'it is live', async () => (await text(page, '#state')) === 'live');
  await page.context().close();
});

check('policy_of_the_page_allows_nothing_foreign', async ({ browser, start }) => {
  const server = await start();
  const context = await browser.newContext();
  const policy = (await context.request.get(server.url)).headers()['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /connect-src 'self'/);
  const page = await open(browser, server.url);
  const blocked = await page.evaluate(() => fetch('http://127.0.0.1:1/').then(() => 'sent', (error) => error.name));
  assert.equal(blocked, 'TypeError');
  assert.ok(page.sins.some((sin) => /connect-src/.test(sin)), page.sins.join('\n'));
  await page.context().close();
  await context.close();
});

// ---- how it looks and is used ----

check('phone_needs_no_sideways_scrolling', async ({ start, watch }) => {
  const server = await start({ maxmemory: '4mb', appendonly: 'yes' });
  const replica = await start({ replicaof: `127.0.0.1 ${server.port}` });
  const page = await watch(server, PHONE);
  await hasScraped(page, 1);
  await server.connect().flood(6000, (i) => ['SET', `key:${i}`, 'v'.repeat(1000)]);
  await seesFinding(page, 'oom', /OOM/);
  await soon(page, 'the replica is listed', () => page.locator('#replicas').isVisible());
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
  const beyond = await page.$$eval('main *', (all) => all.filter((node) => node.checkVisibility() && !node.closest('.hidden') && node.getBoundingClientRect().right > 360.5).map((node) => node.outerHTML.slice(0, 80)));
  assert.deepEqual(beyond, []);
  await replica.stop();
});

// The contrast of every text to what lies behind it, by WCAG's formula; 4.5 is its level AA.
function poorContrasts() {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = channels(color).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const poor = [];
  for (const node of document.querySelectorAll('body *')) {
    if (!node.checkVisibility() || node.closest('.hidden, svg')) continue;
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${node.textContent.trim().slice(0, 40)}: ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
  }
  return poor;
}

check('light_and_dark_differ_and_both_are_readable', async ({ start, watch }) => {
  const server = await start({ maxmemory: '4mb' });
  const grounds = [];
  for (const colorScheme of ['light', 'dark']) {
    const page = await watch(server, { colorScheme });
    await hasScraped(page, 1);
    await server.connect().flood(6000, (i) => ['SET', `key:${i}`, 'v'.repeat(1000)]);
    await seesFinding(page, 'oom', /OOM/);
    assert.deepEqual(await page.evaluate(poorContrasts), []);
    grounds.push(await page.evaluate(() => ['background', 'color'].map((name) => getComputedStyle(document.body)[name])));
  }
  for (const i of [0, 1]) assert.notEqual(grounds[0][i], grounds[1][i]);
});

check('keyboard_reaches_everything_in_order', async ({ start, watch }) => {
  const server = await start();
  const page = await watch(server);
  await hasScraped(page, 3);
  const reached = [];
  for (let i = 0; i < 7; i++) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => {
      const node = document.activeElement, { outlineStyle } = getComputedStyle(node);
      return `${node.id || node.textContent.trim()}${outlineStyle === 'none' ? ' (unseen)' : ''}`;
    }));
  }
  assert.deepEqual(reached, ['Skip to the findings', 'pause', 'charts', 'Total time', 'Calls', 'Mean', '/metrics']);
  await page.focus('.skip');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'findings');
  await page.focus('#charts');
  await page.keyboard.press('ArrowLeft');
  assert.match(await text(page, '#moment'), /^at \d\d:\d\d:\d\d$/);
  assert.match(await text(page, '#charts-said'), /Operations .* a second/);
  await page.keyboard.press('Escape');
  assert.equal(await text(page, '#moment'), '');
  await page.focus('button[data-by=calls]');
  await page.keyboard.press('Space');
  assert.equal(await page.getAttribute('button[data-by=calls]', 'aria-pressed'), 'true');
  assert.equal(await page.getAttribute('button[data-by=seconds]', 'aria-pressed'), 'false');
});

check('pause_stops_asking_and_resume_goes_on', async ({ start, watch }) => {
  const server = await start();
  const page = await watch(server, { change: (scrape) => pause(300).then(() => scrape) }); // so that pauses come in the middle
  await hasScraped(page, 1);
  await page.focus('#pause');
  await page.keyboard.press('Enter');
  assert.equal(await text(page, '#pause'), 'Resume');
  assert.match(await text(page, '#state'), /^paused at/);
  let asked = 0;
  page.on('request', () => asked++);
  await page.clock.fastForward(10_000);
  await pause(100);
  assert.equal(asked, 0);
  for (let i = 0; i < 5; i++) await page.keyboard.press('Enter');
  await soon(page, 'it asks again', async () => asked >= 2 && (await text(page, '#state')) === 'live');
  await pause(500); // all that was asked is answered
  asked = 0;
  await page.clock.runFor(2100);
  await pause(200);
  assert.ok(asked <= 1, `one loop asks, not ${asked}`);
});

check('page_can_be_read_without_seeing_it', async ({ start, watch }) => {
  const server = await start({ appendonly: 'yes' });
  const page = await watch(server, { reducedMotion: 'reduce' });
  await server.once('SET', 'k', 'v');
  await hasScraped(page, 2);
  const found = await page.evaluate(() => ({
    headings: [...document.querySelectorAll('h1, h2, h3')].map((node) => Number(node.localName[1])),
    uncaptioned: [...document.querySelectorAll('table')].filter((table) => !table.caption?.textContent).map((table) => table.id),
    nameless: [...document.querySelectorAll('svg')].filter((image) => !image.ariaHidden && !(image.getAttribute('role') === 'img' && /now/.test(image.ariaLabel))).length,
    live: [...document.querySelectorAll('[aria-live]')].map((node) => node.ariaLive),
    language: document.documentElement.lang,
    motion: [...document.querySelectorAll('*')].filter((node) => getComputedStyle(node).transitionDuration !== '0s' || getComputedStyle(node).animationName !== 'none').length,
  }));
  found.headings.reduce((before, level) => (assert.ok(level <= before + 1), level), 0);
  assert.deepEqual({ ...found, headings: found.headings.filter((level) => level === 1) },
    { headings: [1], uncaptioned: [], nameless: 0, live: ['polite', 'polite'], language: 'en', motion: 0 });
});

check('slow_or_strange_answers_do_not_break_the_page', async ({ start, watch }) => {
  const server = await start();
  let answer = () => '';
  const page = await watch(server, { change: (scrape) => answer(scrape) });
  await soon(page, 'it lives on an empty scrape', async () => (await text(page, '#state')) === 'live');
  answer = () => 'no metrics at all\n# HELP\n{}\ntrivet_x{a="b} 1\ntrivet_used_memory_bytes NaN\n';
  await hasScraped(page, 2 + (await page.evaluate(() => samples.length)));
  answer = (scrape) => scrape;
  await soon(page, 'it comes back', async () => (await text(page, '#facts')).includes('version 0'));
});

async function main() {
  const browser = await launch();
  let good = false;
  try {
    good = await harness.runAll(browser, 3, process.argv[2]);
  } finally {
    await browser.close();
    await removeAll();
  }
  process.exit(good ? 0 : 1);
}

main().catch((error) => {
  console.log(`FAILED  page\n        ${error.stack}`);
  process.exit(1);
});
