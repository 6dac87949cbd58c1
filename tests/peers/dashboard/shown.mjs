// What a panel shows, beside what the server says.

import assert from 'node:assert/strict'

/** The list of queries, and the state of the replay if there is one. */
export async function queries(url) {
  const { queries: list } = await (await fetch(new URL('v1/query', url))).json()
  const demo = await fetch(new URL('v1/demo', url))
  return { list, demo: demo.ok ? await demo.json() : null }
}

/** Tells a demo's replay something. */
export const tell = (url, body) =>
  fetch(new URL('v1/demo', url), { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })

/** Pauses the replay, and waits until nothing changes any more. Returns the list of queries. */
export async function settle(url) {
  if ((await queries(url)).demo) await tell(url, { paused: true })
  for (let before = ''; ; ) {
    const { list } = await queries(url)
    const now = JSON.stringify(list.map(entry => [entry.name, entry.rows, entry.changes]))
    if (now === before) return list
    before = now
    await new Promise(resolve => setTimeout(resolve, 1000))
  }
}

/**
 * Compares a panel with the rows of its query: every row of a table by scrolling through it, every tile, the last
 * values of a chart. The texts are those of the page's own formats, which have tests of their own.
 */
export async function fullyShown(page, panel, entry, url) {
  const { rows } = await (await fetch(new URL(`v1/query/${entry.name}/rows`, url))).json()
  await panel.scrollIntoViewIfNeeded()
  const expected = await page.evaluate(textsOf, { entry, rows, base: url })
  let shown
  for (let turn = 0; turn < 100; turn++) {
    await page.waitForTimeout(100)
    shown = await panel.evaluate(textsShown)
    if (JSON.stringify(shown) === JSON.stringify(expected)) return `${rows.length} rows`
  }
  assert.deepEqual(shown, expected)
}

// In the page: the texts that rows should have.
async function textsOf({ entry, rows, base }) {
  const load = name => import(new URL(`assets/${name}`, base).href)
  const { columnOf, fieldOf, sampled, shapeOf, isNumeric } = await load('shape.js')
  const { cellsOf } = await load('panels/cells.js')
  const { formatValue } = await load('format.js')
  const place = (await (await fetch(new URL('v1/dashboard', base))).json()).panels?.find(panel => panel.query === entry.name)
  const shape = sampled(shapeOf(entry, place?.view ?? entry.view), rows)
  const text = (column, row) => cellsOf(column).text(row.value)
  if (shape.kind === 'number') return shape.columns.map(column => (rows[0] ? formatValue(fieldOf(rows[0].value, column.field), column) : '') || '–')
  if (shape.kind === 'line') {
    const drawn = shape.value ? columnOf(shape, shape.value) : shape.columns.find(column => column.field !== shape.x && isNumeric(column))
    const last = rows.map(row => fieldOf(row.value, drawn.field)).findLast(value => typeof value === 'number')
    return [last === undefined ? '–' : formatValue(last, drawn)]
  }
  if (shape.kind !== 'bars') return rows.map(row => shape.columns.map(column => text(column, row)))
  const [label, value] = [columnOf(shape, shape.label), columnOf(shape, shape.value)]
  const others = shape.columns.filter(column => column !== label && column !== value)
  const total = rows.reduce((sum, row) => sum + (fieldOf(row.value, value.field) ?? 0), 0)
  const share = value.format === 'integer' && !value.unit
  return rows.map(row => [
    text(label, row),
    '',
    text(value, row),
    ...(share ? [total ? formatValue(fieldOf(row.value, value.field) / total, { format: 'percent' }) : ''] : []),
    ...others.map(column => text(column, row)),
  ])
}

// In the page: the texts that a panel has, scrolled through from the top.
async function textsShown(panel) {
  const frames = () => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))
  if (panel.matches('.number')) return [...panel.querySelectorAll('dd')].map(figure => figure.textContent)
  if (panel.matches('.line')) return [...panel.querySelectorAll('.legend b')].map(value => value.textContent)
  const scroller = panel.querySelector('.scroller')
  const found = new Map()
  for (let top = 0; ; top += scroller.clientHeight / 2) {
    scroller.scrollTop = top
    await frames()
    for (const row of panel.querySelectorAll('tbody tr:not(.spacer)')) {
      found.set(Number(row.getAttribute('aria-rowindex')), [...row.cells].map(cell => cell.textContent))
    }
    if (top + scroller.clientHeight >= scroller.scrollHeight) break
  }
  scroller.scrollTop = 0
  await frames()
  return [...found].sort(([a], [b]) => a - b).map(([, cells]) => cells)
}
