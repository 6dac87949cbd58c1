// What has to hold of the editor and of the page of a plan, over a server that has rows of people and of their
// orders, and a folder of queries.

import assert from 'node:assert/strict'

const PICTURES = process.env.PICTURES

/** A picture of the page, where somebody wants to see it. */
async function picture(page, name) {
  if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true })
}

export async function editorChecks({ checks, page, url }) {
  const area = page.getByRole('textbox', { name: 'Query' })
  const says = page.locator('#editor-says')
  const write = text => area.fill(text)
  const list = async () => (await (await fetch(new URL('v1/query', url))).json()).queries.map(({ name }) => name)
  const append = rows =>
    fetch(new URL('v1/stream/events', url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(rows) })
  const person = (key, city) => ({ type: 'person', key, value: { name: `P${key}`, city }, headers: { operation: 'upsert' } })

  await checks.check('the editor opens by its key, with the focus in the text', async () => {
    await page.locator('#status .badge[data-tone="good"]').waitFor()
    await page.keyboard.press('e')
    await area.waitFor()
    assert.ok(await area.evaluate(element => element === document.activeElement))
    assert.equal(await page.locator('#wall-view').isVisible(), false)
    await picture(page, 'editor-empty')
  })

  await checks.check('collections are listed, and a press begins a query', async () => {
    await page.locator('#editor-collections summary', { hasText: 'person' }).click()
    await picture(page, 'editor-collections')
    await page.getByRole('button', { name: 'Query person' }).click()
    assert.equal(await area.inputValue(), 'SELECT *\nFROM person')
  })

  await checks.check('an error is underlined where it is, and says what might help', async () => {
    await write('SELECT uper(name)\nFROM person')
    await says.getByText('Unknown function').waitFor()
    assert.equal(await page.locator('.twin .wrong').textContent(), 'uper')
    assert.match(await says.textContent(), /upper/)
    assert.equal(await page.locator('#editor-run').isDisabled(), true)
    await says.getByRole('button', { name: 'line 1, column 8' }).click()
    assert.deepEqual(await area.evaluate(({ selectionStart, selectionEnd }) => [selectionStart, selectionEnd]), [7, 11])
    await picture(page, 'editor-error')
  })

  await checks.check('a name that nothing has is doubted, and not refused', async () => {
    await write('SELECT name, ctiy FROM person')
    await page.locator('.twin .doubtful').waitFor()
    assert.equal(await page.locator('.twin .doubtful').textContent(), 'ctiy')
    assert.equal(await page.locator('#editor-run').isDisabled(), false)
  })

  await checks.check('columns show while it is written', async () => {
    await write('SELECT city, count(*) AS people\nFROM person\nWHERE name LIKE \'P%\'\nGROUP BY city\nORDER BY people DESC, city')
    await page.waitForFunction(() => [...document.querySelectorAll('#editor-columns li')].map(item => item.textContent).join() === 'city,people')
  })

  await checks.check('Ctrl Enter runs it, and its rows are those of now', async () => {
    await area.press('Control+Enter')
    const result = page.locator('#editor-result .panel')
    await result.locator('td', { hasText: 'London' }).waitFor()
    await append([person('90', 'Oslo'), person('91', 'Oslo'), person('92', 'Oslo'), person('93', 'Oslo'), person('94', 'Oslo'), person('95', 'Oslo')])
    await page.waitForFunction(() => [...document.querySelectorAll('#editor-result tbody tr')].some(row => row.textContent === 'Oslo6'))
    assert.equal((await list()).some(name => name.startsWith('trial')), false)
    await picture(page, 'editor-result')
  })

  await checks.check('what was tried out ends when the editor is left', async () => {
    const trial = await page.locator('#editor-result .panel').getAttribute('data-query')
    assert.equal((await fetch(new URL(`v1/query/${trial}/rows`, url))).status, 200)
    await page.getByRole('link', { name: '← Panels' }).first().click()
    await page.locator('#wall-view').waitFor()
    for (let tries = 0; (await fetch(new URL(`v1/query/${trial}/explain`, url))).status !== 404; tries++) {
      assert.ok(tries < 200, 'it is still there')
      await page.waitForTimeout(50)
    }
  })

  await checks.check('what was written is there again, and is saved by a name', async () => {
    await page.keyboard.press('e')
    assert.match(await area.inputValue(), /^SELECT city/)
    await area.press('Control+s')
    const dialog = page.getByRole('dialog', { name: 'Save the query' })
    await dialog.getByLabel('Name').fill('per-city')
    assert.match(await dialog.textContent(), /per-city\.sql/)
    await picture(page, 'editor-save')
    await page.keyboard.press('Enter')
    await page.locator('.panel[data-query="per-city"] td', { hasText: 'Oslo' }).waitFor()
  })

  await checks.check('a name that is taken is replaced only when that is said', async () => {
    await page.locator('.panel[data-query="per-city"] .menu summary').click()
    await page.locator('.panel[data-query="per-city"]').getByRole('link', { name: 'Edit' }).click()
    await page.waitForFunction(() => document.querySelector('#editor-text textarea').value.startsWith('SELECT city'))
    await write('SELECT city, count(*) AS persons FROM person GROUP BY city')
    await page.locator('#editor-columns li', { hasText: 'persons' }).waitFor()
    await area.press('Control+s')
    const dialog = page.getByRole('dialog', { name: 'Save the query' })
    assert.equal(await dialog.getByLabel('Name').inputValue(), 'per-city')
    assert.equal(await dialog.getByRole('button', { name: 'Save' }).isDisabled(), true)
    await dialog.getByLabel('Replace the query').check()
    await dialog.getByRole('button', { name: 'Save' }).click()
    await page.locator('.panel[data-query="per-city"] th', { hasText: 'Persons' }).waitFor()
  })

  await checks.check('the plan of a query shows its steps, and their figures go on', async () => {
    await page.locator('.panel[data-query="spent"] .menu summary').click()
    await page.locator('.panel[data-query="spent"]').getByRole('link', { name: 'Plan' }).click()
    const steps = page.locator('.picture .step')
    await steps.first().waitFor()
    const names = await steps.locator('.name').allTextContents()
    assert.deepEqual(names.slice(0, 3), ['Result', 'Top', 'Aggregate'])
    assert.ok(names.includes('Join') && names.includes('person') && names.includes('order'), names.join())
    // The join and what is below is computed for two queries; the result is for one.
    assert.ok(await page.locator('.picture .step.shared').count())
    const out = () => page.locator('.picture .step[data-operator="join"]').getAttribute('aria-label')
    const before = await out()
    let key = 1000
    while ((await out()) === before) {
      await append([{ type: 'order', key: String(key++), value: { person: '1', amount: 5 }, headers: { operation: 'insert' } }])
      await page.waitForTimeout(50)
    }
    for (let tries = 0; !(await page.locator('.edge.flows').count()); tries++) {
      assert.ok(tries < 1000, 'nothing flows')
      await append([{ type: 'order', key: String(key++), value: { person: '1', amount: 5 }, headers: { operation: 'insert' } }])
      await page.waitForTimeout(20)
    }
    await picture(page, 'plan')
    assert.match(await page.locator('#plan-notes').textContent(), /pushed into the scan/)
    assert.match(await page.locator('#plan-written').textContent(), /GROUP BY/)
  })

  await checks.check('the steps of a plan can be reached by Tab', async () => {
    await page.locator('#plan-picture').focus()
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.activeElement.classList.contains('step')), true)
  })

  await checks.check('both are as legible in the dark', async () => {
    await page.keyboard.press('t')
    await page.keyboard.press('t')
    await picture(page, 'plan-dark')
    await page.goto(new URL('#editor/spent', url).href)
    await page.waitForFunction(() => document.querySelector('#editor-text textarea').value.includes('JOIN'))
    await page.locator('#editor-columns li').first().waitFor()
    await picture(page, 'editor-dark')
    await area.evaluate(element => element.blur())
    await page.keyboard.press('t')
  })

  for (const [view, name] of [['#editor', 'editor'], ['#plan/spent', 'plan']]) {
    await checks.check(`${name}: 390 pixels wide nothing scrolls sideways`, async () => {
      await page.setViewportSize({ width: 390, height: 844 })
      await page.goto(new URL(view, url).href)
      await page.locator(`#${name}-view`).waitFor()
      if (name === 'plan') await page.locator('.picture .step').first().waitFor()
      await picture(page, `${name}-narrow`)
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      assert.ok(wide <= 0, `${wide} pixels too wide`)
    })
  }
}
