// Rows as the columns of numbers that a chart draws.

import { columnOf, fieldOf, isNumeric } from '../shape.js'
import { formatValue, toMs } from '../format.js'

/**
 * What to draw of a shape's rows: `{ kind, xs, lines }`. `kind` is number, time or category, `xs` the places,
 * `lines` have a name and a list of values each; `label(x)` says a place in words, `rowAt` has the row of a place.
 */
export function pointsOf(shape, rows) {
  const x = shape.x ? columnOf(shape, shape.x) : shape.columns[0]
  const isSplit = shape.series !== undefined
  const drawn = drawnColumns(shape, x, isSplit)
  const values = rows.map(row => fieldOf(row.value, x.field))
  const { kind, place, label } = scaleOf(values, x)
  const places = values.map(place)
  const xs = [...new Set(places.filter(at => at !== null))].sort((a, b) => a - b)
  const position = new Map(xs.map((at, index) => [at, index]))
  const lines = new Map()
  const put = (name, column, at, number) => {
    let line = lines.get(name)
    if (!line) lines.set(name, (line = { name, column, values: new Array(xs.length).fill(null) }))
    if (at !== null && typeof number === 'number') line.values[position.get(at)] = number
  }
  rows.forEach(({ value }, index) => {
    for (const column of drawn) {
      const series = isSplit ? formatValue(fieldOf(value, shape.series), columnOf(shape, shape.series)) || '–' : ''
      put(isSplit ? series : column.title, column, places[index], fieldOf(value, column.field))
    }
  })
  const isWhole = kind === 'category' || (kind === 'number' && xs.every(Number.isInteger))
  return { kind, isWhole, x, label, xs, lines: [...lines.values()], rowAt: new Map(places.map((at, index) => [at, rows[index]])) }
}

// The value of the view, or every column of numbers.
function drawnColumns(shape, x, isSplit) {
  if (shape.value) return [columnOf(shape, shape.value)]
  const columns = shape.columns.filter(column => column.field !== x.field && column.field !== shape.series && isNumeric(column))
  return isSplit ? columns.slice(0, 1) : columns
}

function scaleOf(values, column) {
  const known = values.filter(value => value !== null && value !== undefined)
  if (known.every(value => typeof value === 'number')) {
    const isTime = ['time', 'date', 'datetime'].includes(column.format)
    const place = value => (typeof value !== 'number' ? null : isTime ? value / 1000 : value)
    const label = at => formatValue(isTime ? at * 1000 : at, column)
    return { kind: isTime ? 'time' : 'number', place, label }
  }
  if (known.every(value => toMs(value) !== undefined)) {
    const place = value => (value === null || value === undefined ? null : toMs(value) / 1000)
    return { kind: 'time', place, label: at => formatValue(at * 1000, { format: column.format ?? 'datetime' }) }
  }
  const texts = [...new Set(known.map(value => formatValue(value, column)))]
  const positions = new Map(texts.map((text, index) => [text, index]))
  return { kind: 'category', place: value => positions.get(formatValue(value, column)) ?? null, label: at => texts[at] ?? '' }
}
