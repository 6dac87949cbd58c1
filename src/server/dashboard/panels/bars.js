// A list of bars: names, lengths, values, and shares of the whole where values are counts.

import { columnOf, fieldOf, isNumeric } from '../shape.js'
import { formatValue } from '../format.js'
import { barCells, cellsOf } from './cells.js'
import { Table } from './table.js'

export class Bars extends Table {
  constructor(shape, context) {
    const value = shape.value ? columnOf(shape, shape.value) : (shape.columns.find(isNumeric) ?? shape.columns.at(-1))
    const label = shape.label ? columnOf(shape, shape.label) : (shape.columns.find(column => column !== value) ?? value)
    const others = shape.columns.filter(column => column.field !== value.field && column.field !== label.field)
    const columns = [cellsOf({ ...label, align: 'left' }), barCells(value), cellsOf({ ...value, align: 'right' })]
    if (isCount(value)) columns.push(shareCells(value))
    super(shape, context, { columns: [...columns, ...others.map(cellsOf)], extent: extentOf(value.field), isCut: true })
  }
}

// Whole numbers without a unit add up to something; averages and shares do not.
const isCount = ({ format, unit }) => format === 'integer' && !unit

const shareCells = ({ field }) => ({
  field,
  title: 'Share',
  align: 'right',
  isBar: false,
  /** Changes with every other row. */
  ofAll: true,
  tone: () => undefined,
  text(value, { total, least }) {
    const number = fieldOf(value, field)
    return typeof number === 'number' && total > 0 && least === 0 ? formatValue(number / total, { format: 'percent' }) : ''
  },
})

// The least and the most of all rows, and their sum; the same object as long as they are the same.
function extentOf(field) {
  let last = { least: 0, most: 0, total: 0 }
  return rows => {
    const next = { least: 0, most: 0, total: 0 }
    for (const { value } of rows) {
      const number = fieldOf(value, field)
      if (typeof number !== 'number') continue
      next.least = Math.min(next.least, number)
      next.most = Math.max(next.most, number)
      next.total += number
    }
    if (next.least !== last.least || next.most !== last.most || next.total !== last.total) last = next
    return last
  }
}
