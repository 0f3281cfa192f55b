// dashboard.js EXPRESSIONS_FILE: is packaging/grafana.json in order, and does a real server have every metric and label that
// it and packaging/alerts.yml ask for? A primary with an append-only file, users of all sorts, and its replica are asked.
//
// Writes the dashboard's expressions, its variables filled in, as recording rules: for promtool, which knows the language.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Server, eventually, removeAll } = require('../page/server');

const packaging = path.join(__dirname, '../../packaging');
const dashboard = JSON.parse(fs.readFileSync(path.join(packaging, 'grafana.json'), 'utf8'));
const alerts = fs.readFileSync(path.join(packaging, 'alerts.yml'), 'utf8');
const SCRAPED = ['instance', 'job', '__name__']; // labels that Prometheus itself adds
const ROWS = ['Overview', 'Memory', 'Hits and evictions', 'Commands and latency', 'Clients and pub/sub', 'Persistence', 'Replication', 'Workers'];

let passed = 0, failed = 0;
async function check(name, run) {
  try {
    await run();
    passed++;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}\n${String(error.stack).replace(/^/gm, '        ')}`);
  }
}

const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
// From "expr:" to the next key of the rule.
const conditions = [...alerts.matchAll(/^ {8}expr: ([^]*?)\n {8}\w/gm)].map(([, expr]) => expr);

function panelsAreWhole() {
  assert.ok(panels.length >= 30);
  for (const panel of panels) {
    assert.ok(panel.title && panel.description, `a title and a description: ${panel.title}`);
    assert.ok(panel.targets.length > 0, panel.title);
    assert.ok(panel.fieldConfig.defaults.unit, `${panel.title} has a unit`);
    for (const { expr, datasource, legendFormat } of panel.targets) {
      assert.ok(expr && legendFormat, panel.title);
      assert.equal(datasource.uid, '${datasource}', panel.title);
    }
  }
  const all = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(all).size, all.length, 'panels have ids of their own');
  assert.deepEqual(dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title), ROWS);
}

// Of a grid with 24 columns no cell is taken twice.
function panelsLieBesideEachOther() {
  const taken = new Map();
  for (const { title, gridPos: { x, y, w, h } } of dashboard.panels) {
    assert.ok(x >= 0 && x + w <= 24, `${title} is inside the grid`);
    for (let cell = 0; cell < w * h; cell++) {
      const place = `${x + (cell % w)},${y + Math.floor(cell / w)}`;
      assert.ok(!taken.has(place), `${title} lies on ${taken.get(place)}`);
      taken.set(place, title);
    }
  }
}

function everyExpressionIsAboutTheChosenInstances() {
  for (const expr of expressions)
    for (const [, name, braces] of expr.matchAll(/\b(trivet_\w+|up)\b(\{[^}]*\})?/g)) assert.ok(braces?.includes('instance=~"$instance"'), `${name} in ${expr}`);
  const names = dashboard.templating.list.map(({ name }) => name);
  assert.deepEqual(names, ['datasource', 'instance']);
  assert.match(dashboard.templating.list[1].definition, /^label_values\(trivet_info, instance\)$/);
}

// Two servers in a state where every family is there: what the documentation calls optional, such as lag, too.
async function scrapeOfAll() {
  const primary = await Server.start({ appendonly: 'yes', maxmemory: '100mb' });
  const replica = await Server.start({ replicaof: `127.0.0.1 ${primary.port}`, appendonly: 'yes' });
  await primary.once('SET', 'k', 'v', 'EX', '100');
  await primary.once('GET', 'k');
  await primary.once('NOSUCH');
  await eventually('the replica is up', async () => /master_link_status:up/.test(await replica.once('INFO', 'replication')));
  let all = '';
  await eventually('the primary tells of its replica', async () => {
    all = '';
    for (const { url } of [primary, replica]) all += await (await fetch(url + 'metrics')).text();
    return /^trivet_replication_lag_seconds\{/m.test(all);
  });
  return all;
}

function labelsOfNames(scrape) {
  const found = new Map([['up', new Set()]]);
  for (const [, name, labels = ''] of scrape.matchAll(/^(\w+)(?:\{(.*)\})? /gm)) {
    const known = found.get(name) ?? found.set(name, new Set()).get(name);
    for (const [, label] of labels.matchAll(/(\w+)="/g)) known.add(label);
  }
  return found;
}

function everythingIsThere(asked, there) {
  for (const expr of asked) {
    const without = expr.replace(/"[^"]*"/g, '""');
    const names = [...without.matchAll(/\b(trivet_\w+|up)\b/g)].map(([name]) => name);
    assert.ok(names.length > 0, expr);
    for (const name of names) assert.ok(there.has(name), `${name} is not in /metrics: ${expr}`);
    const labels = new Set(names.flatMap((name) => [...there.get(name)]).concat(SCRAPED));
    for (const [, list] of without.matchAll(/(?:\{|\b(?:by|without|on|ignoring) \()([^{}()]*)[})]/g))
      for (const label of list.split(',').map((part) => part.trim().split(/[=!]/)[0]).filter(Boolean))
        assert.ok(labels.has(label), `no label ${label} in ${expr}`);
  }
}

// What increase() is taken of has to be there before the first time, or that time is missed.
async function awaitedErrorsBeginWithZero() {
  const { url } = await Server.start();
  const scrape = await (await fetch(url + 'metrics')).text();
  const codes = conditions.flatMap((expr) => [...expr.matchAll(/trivet_errors_total\{code="(\w+)"\}/g)].map(([, code]) => code));
  assert.ok(codes.length > 0);
  for (const code of codes) assert.ok(scrape.includes(`\ntrivet_errors_total{code="${code}"} 0\n`), code);
}

function legendsNameLabels(there) {
  for (const { targets } of panels)
    for (const { expr, legendFormat } of targets) {
      const labels = new Set([...expr.matchAll(/\btrivet_\w+/g)].flatMap(([name]) => [...there.get(name)]).concat(SCRAPED));
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) assert.ok(labels.has(label), `${label} in ${legendFormat} of ${expr}`);
    }
}

function writeRules(file) {
  const filled = expressions.map((expr) => expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m'));
  const rules = filled.map((expr, i) => `      - { record: "panel:${i}", expr: ${JSON.stringify(expr)} }`);
  fs.writeFileSync(file, `groups:\n  - name: dashboard\n    rules:\n${rules.join('\n')}\n`);
}

async function main() {
  await check('panels_are_whole', panelsAreWhole);
  await check('panels_lie_beside_each_other', panelsLieBesideEachOther);
  await check('panels_show_the_chosen_instances', everyExpressionIsAboutTheChosenInstances);
  const there = labelsOfNames(await scrapeOfAll());
  await check('server_has_what_the_dashboard_asks', () => everythingIsThere(expressions, there));
  await check('server_has_what_the_alerts_ask', () => {
    assert.equal(conditions.length, alerts.match(/- alert:/g).length);
    everythingIsThere(conditions, there);
  });
  await check('errors_that_alerts_ask_for_begin_with_zero', awaitedErrorsBeginWithZero);
  await check('legends_name_labels_that_are_there', () => legendsNameLabels(there));
  writeRules(process.argv[2]);
}

main()
  .catch((error) => {
    failed++;
    console.log(`FAILED  dashboard\n        ${error.stack}`);
  })
  .finally(removeAll)
  .then(() => {
    console.log(`[  PASSED  ] ${passed} test(s).`);
    process.exit(failed === 0 ? 0 : 1);
  });
