// What has to hold of a page whose server is there.

import assert from 'node:assert/strict'
import { fullyShown, queries, settle, tell } from './shown.mjs'

export async function pageChecks({ checks, page, url }) {
  await checks.check('every panel becomes live', async () => {
    await page.locator('#status .badge[data-tone="good"]').waitFor()
    await page.waitForFunction(() => document.querySelectorAll('.panel[data-query]').length > 0)
    return `${await page.locator('.panel[data-query]').count()} panels`
  })

  await checks.check('changes show while events come', async () => {
    const { list, demo } = await queries(url)
    if (!demo) return 'no demo, so nothing comes'
    // Three hours of the day a second until it is noon, which has something of everything.
    await tell(url, { restart: true })
    await tell(url, { speed: 10800 })
    await tell(url, { paused: false })
    await changing(page)
    await page.waitForFunction(() => /\d/.test(document.querySelector('#latency').textContent))
    const latency = await page.locator('#latency').textContent()
    const noon = demo.from + (demo.to - demo.from) / 2
    while ((await queries(url)).demo.now < noon) await page.waitForTimeout(100)
    return `${list.length} queries, latency ${latency}`
  })

  const entries = await settle(url)
  for (const entry of entries) {
    const panel = page.locator(`.panel[data-query="${entry.name}"]`).first()
    if (!(await panel.count())) continue
    await checks.check(`${entry.name} shows what the server has`, () => fullyShown(page, panel, entry, url))
  }

  await checks.check('a search leaves the rows that have the text, and Escape all again', async () => {
    const table = page.locator('.panel.table[data-query]').first()
    await table.scrollIntoViewIfNeeded()
    const before = await rowTexts(table)
    const word = before[0][1]
    await page.keyboard.press('/')
    await page.keyboard.type(word.toUpperCase())
    await page.waitForFunction(() => / of /.test(document.querySelector('.panel.table .figures').textContent))
    const fits = rows => rows.length > 0 && rows.every(cells => cells.join('\n').includes(word))
    let found = await rowTexts(table)
    // What was typed first may be painted before the rest.
    for (let tries = 0; tries < 200 && !fits(found); tries++) {
      await page.waitForTimeout(50)
      found = await rowTexts(table)
    }
    assert.ok(fits(found), `${word} in ${JSON.stringify(found)}`)
    await page.keyboard.press('Escape')
    await page.waitForFunction(() => !/ of /.test(document.querySelector('.panel.table .figures').textContent))
    assert.deepEqual(await rowTexts(table), before)
  })

  await checks.check('heads sort by the keyboard, up, down and back', async () => {
    const table = page.locator('.panel.table[data-query]').first()
    const head = table.locator('th').nth(1)
    const before = await rowTexts(table)
    await head.locator('button').focus()
    const seen = []
    for (const wanted of ['ascending', 'descending', null]) {
      await page.keyboard.press('Enter')
      await page.waitForFunction(([head, wanted]) => head.getAttribute('aria-sort') === wanted, [await head.elementHandle(), wanted])
      await twoFrames(page)
      seen.push((await rowTexts(table)).map(cells => cells[1]))
    }
    const [up, down] = seen
    const compare = new Intl.Collator('en-US', { numeric: true }).compare
    assert.deepEqual(up, up.toSorted(compare))
    assert.deepEqual(down, down.toSorted(compare).reverse())
    assert.deepEqual(await rowTexts(table), before)
  })

  await checks.check('p pauses the page, and on resuming the newest shows', async () => {
    const { demo } = await queries(url)
    await page.keyboard.press('p')
    assert.equal(await page.locator('#pause').getAttribute('aria-pressed'), 'true')
    if (demo) {
      await page.evaluate(() => scrollTo(0, 0))
      const tiles = page.locator('.tiles').first()
      const before = await tiles.textContent()
      await tell(url, { restart: true })
      await tell(url, { paused: false })
      await changing(page)
      assert.equal(await tiles.textContent(), before)
      await page.keyboard.press('p')
      await page.waitForFunction(before => document.querySelector('.tiles').textContent !== before, before)
    } else {
      await page.keyboard.press('p')
    }
    assert.equal(await page.locator('#pause').getAttribute('aria-pressed'), 'false')
  })

  await checks.check('? lists the keys, and Escape closes the list', async () => {
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' })
  })

  await checks.check('t changes the theme, which stays over a reload', async () => {
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    await page.keyboard.press('t')
    const light = await background()
    await page.keyboard.press('t')
    const dark = await background()
    assert.notEqual(dark, light)
    await page.reload()
    await page.locator('#status .badge[data-tone="good"]').waitFor()
    assert.equal(await background(), dark)
    await page.keyboard.press('t')
  })

  await checks.check('the menu of a panel has its query, its command, and a link to its rows', async () => {
    const panel = page.locator('.panel[data-query]').first()
    const name = await panel.getAttribute('data-query')
    const summary = panel.locator('.menu summary')
    await summary.focus()
    await page.keyboard.press('Enter')
    const rows = await (await fetch(await panel.getByRole('link', { name: 'Rows as JSON' }).getAttribute('href'))).json()
    assert.ok(Array.isArray(rows.rows))
    await panel.getByRole('button', { name: 'Follow with curl' }).click()
    assert.ok((await page.getByRole('dialog').locator('pre').textContent()).includes(`/v1/query/${name}?offset=-1`))
    await page.keyboard.press('Escape')
    await summary.focus()
    await page.keyboard.press('Enter')
    await panel.getByRole('button', { name: 'Show the query' }).click()
    const shown = JSON.parse(await page.getByRole('dialog').locator('pre').textContent())
    assert.deepEqual(shown, (await queries(url)).list.find(entry => entry.name === name).query)
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
  })

  await checks.check('all that can be pressed can be reached by Tab, and shows it', async () => {
    await page.evaluate(() => document.activeElement?.blur())
    const wanted = await page.evaluate(() => [...document.querySelectorAll('button, select, input, summary, .scroller, .canvas')].filter(element => element.checkVisibility()).length)
    const reached = new Set()
    for (let press = 0; press < wanted * 2 + 10; press++) {
      await page.keyboard.press('Tab')
      const [id, outline] = await page.evaluate(() => {
        const { activeElement: at } = document
        window.reached ??= new Map()
        if (!window.reached.has(at)) window.reached.set(at, window.reached.size)
        return [at === document.body ? -1 : window.reached.get(at), getComputedStyle(at).outlineStyle]
      })
      if (id === -1) break
      assert.notEqual(outline, 'none')
      reached.add(id)
    }
    // The link past the bar is one more.
    assert.ok(reached.size >= wanted, `${reached.size} of ${wanted}`)
    return `${reached.size} stops`
  })

  for (const width of [390, 320]) {
    await checks.check(`${width} pixels wide nothing scrolls sideways`, async () => {
      await page.setViewportSize({ width, height: 844 })
      await twoFrames(page)
      for (let at = 0; at < 12_000; at += 600) {
        await page.evaluate(at => scrollTo(0, at), at)
        await twoFrames(page)
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        assert.ok(wide <= 0, `${wide} pixels too wide at ${at}`)
      }
    })
  }
}

const changing = page => page.waitForFunction(() => Number(document.querySelector('#changes').textContent.replace(/\D/g, '')) > 0)

const twoFrames = page => page.evaluate(() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve))))

const rowTexts = table =>
  table.locator('tbody tr:not(.spacer)').evaluateAll(rows => rows.map(row => [...row.cells].map(cell => cell.textContent)))
