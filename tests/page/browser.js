// browser.js: Debian's Chromium with pages that note whatever a page must not do.
'use strict';

const { chromium } = require('playwright-core');

const EXECUTABLE = process.env.CHROMIUM || '/usr/bin/chromium';
const ARGUMENTS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const launch = () => chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS });

// Opens an address in a context of its own. `page.sins` are foreign requests, errors on the console, exceptions and
// violations of the policy; a server that does not answer is none, for the page is made to live with that. `change` may
// change the server's /metrics on the way. The page's clock runs, and can be put forward.
async function open(browser, url, { change, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.sins = [];
  const origin = new URL(url).origin;
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) page.sins.push(`asks ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) page.sins.push(`${response.status()} for ${response.url()}`);
  });
  page.on('pageerror', (error) => page.sins.push(error.stack));
  page.on('dialog', (dialog) => {
    page.sins.push(`says ${dialog.message()}`);
    dialog.dismiss().catch(() => {}); // its page may be closed by now
  });
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !/Failed to load resource/.test(message.text())) page.sins.push(message.text());
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  if (change)
    await page.route('**/metrics', async (route) => {
      try {
        const reply = await route.fetch();
        await route.fulfill({ response: reply, body: await change(await reply.text()) });
      } catch (error) {
        if (!page.isClosed()) page.sins.push(error.stack); // else the check ended in the middle of a question
      }
    });
  await page.clock.install();
  await page.goto(url);
  return page;
}

module.exports = { launch, open };
