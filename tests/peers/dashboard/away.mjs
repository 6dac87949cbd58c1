// What the page says of a server that goes away and comes back.

import assert from 'node:assert/strict'
import { fullyShown, settle } from './shown.mjs'

export async function statusChecks({ checks, page, url }) {
  const panel = page.locator('.panel[data-query]').first()

  await checks.check('the page is live', async () => {
    await page.locator('#status .badge[data-tone="good"]').waitFor()
    await page.waitForFunction(() => document.querySelector('.panel[data-query] .figures')?.textContent.includes('row'))
  })
  const before = await panel.locator('.body').textContent()

  checks.say({ wait: 'stop' })
  await checks.check('a server that is gone is said to be, with the time, and the rows stay', async () => {
    await page.locator('#status').getByText(/stale since \d\d:\d\d:\d\d/).waitFor()
    await panel.locator('.badge').getByText(/stale since \d\d:\d\d:\d\d/).waitFor()
    assert.ok((await panel.locator('.body').textContent()).length > 0)
    assert.ok(before.length > 0)
    return page.locator('#status').textContent()
  })

  checks.say({ wait: 'start' })
  await checks.check('a server that is back is found, without a reload', async () => {
    await page.locator('#status .badge[data-tone="good"]').waitFor()
    await panel.locator('.badge[data-tone="good"]').waitFor()
  })
  for (const entry of await settle(url)) {
    const place = page.locator(`.panel[data-query="${entry.name}"]`).first()
    if (await place.count()) await checks.check(`${entry.name} shows what the server has now`, () => fullyShown(page, place, entry, url))
  }
}
