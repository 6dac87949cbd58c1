// The dashboard in a browser, against a running server.
//
//   node page.mjs URL page    checks what needs nobody's help
//   node page.mjs URL away    checks the server's going and coming back: prints {"wait":"stop"} and {"wait":"start"},
//                             and goes on when the caller has killed the server, and has started it again at the same URL
//   node page.mjs URL editor  checks the editor of queries and the page of a plan (see editor.mjs for what there must be)
//   node page.mjs URL token TOKEN    checks that the page asks for the token, and takes it
//
// Prints a line of JSON a check; the exit status is 1 if one failed. Chromium is at CHROMIUM, or /usr/bin/chromium.

import { chromium } from 'playwright-core'
import { statusChecks } from './away.mjs'
import { pageChecks } from './checks.mjs'
import { editorChecks } from './editor.mjs'

const [url, mode = 'page', token] = process.argv.slice(2)
const LONGEST = 120_000

/** Checks of a kind; a check that throws has failed, and the others go on. */
class Checks {
  failed = 0

  async check(name, run) {
    try {
      const detail = await run()
      this.say({ check: name, ok: true, ...(detail && { detail }) })
    } catch (error) {
      this.failed++
      this.say({ check: name, ok: false, error: error.message.slice(0, 2000) })
    }
  }

  say(line) {
    process.stdout.write(`${JSON.stringify(line)}\n`)
  }
}

const checks = new Checks()
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-US', timezoneId: 'UTC' })
  const page = await context.newPage()
  page.setDefaultTimeout(LONGEST)
  const complaints = []
  const elsewhere = []
  // Browsers tell of answers that are no success and of servers that are away, which are expected here.
  const expected = mode === 'page' ? /Failed to load resource.* 410 / : /Failed to load resource/
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type()) && !expected.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(String(error)))
  page.on('request', request => {
    const { origin, protocol } = new URL(request.url())
    if (origin !== new URL(url).origin && !['data:', 'blob:'].includes(protocol)) elsewhere.push(request.url())
  })
  await page.goto(url)
  if (mode === 'page') await pageChecks({ checks, page, url })
  else if (mode === 'away') await statusChecks({ checks, page, url })
  else if (mode === 'editor') await editorChecks({ checks, page, url })
  else if (mode === 'token') await tokenChecks(page)
  else throw new Error(`there is no mode ${mode}`)
  await checks.check('nothing is complained about in the console', () => none(complaints))
  await checks.check('no request leaves the server', () => none(elsewhere))
} finally {
  await browser.close()
}
process.exitCode = checks.failed ? 1 : 0

function none(list) {
  if (list.length) throw new Error(list.join('\n'))
}

async function tokenChecks(page) {
  await checks.check('a wrong token is asked for again', async () => {
    await page.getByRole('dialog').getByLabel('Bearer token').fill('wrong')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').getByText('not known').waitFor()
  })
  await checks.check('with the token the page is live, and keeps it over a reload', async () => {
    await page.getByRole('dialog').getByLabel('Bearer token').fill(token)
    await page.keyboard.press('Enter')
    await page.locator('#status .badge[data-tone="good"]').waitFor()
    await page.reload()
    await page.locator('#status .badge[data-tone="good"]').waitFor()
  })
}
