// What a panel shows: the `view` of a query, and guesses where it says nothing.

import { formatValue, words } from './format.js'

const KINDS = ['number', 'line', 'bars', 'table', 'board']
const SAMPLE = 50

/**
 * The shape of a query's panel. `columns` is null as long as nobody knows them; `sampled(shape, rows)` takes
 * them from rows then.
 */
export function shapeOf({ name, query, columns: fields = [] }, view) {
  const given = isObject(view) ? view : {}
  const kind = KINDS.includes(given.chart) ? given.chart : isGlobalAggregate(query) ? 'number' : 'table'
  const columns = Array.isArray(given.columns) ? given.columns.map(column).filter(Boolean) : []
  const known = columns.length ? columns : fields.map(column)
  return {
    name,
    kind,
    title: text(given.title) ?? words(name),
    note: text(given.note),
    columns: known.length ? known : null,
    label: text(given.label),
    value: text(given.value),
    x: text(given.x),
    series: text(given.series),
    /** How many rows there can be at most, or null. */
    limit: Number.isInteger(query?.limit) ? query.limit : null,
  }
}

/** The shape with columns, and with sides for all of them that the rows tell something about. */
export function sampled(shape, rows) {
  const sample = rows.slice(0, SAMPLE).map(row => row.value)
  const columns = shape.columns ?? [...new Set(sample.flatMap(value => (isObject(value) ? Object.keys(value) : [WHOLE])))].map(column)
  return { ...shape, columns: columns.map(column => ({ ...column, ...guessed(column, sample) })) }
}

/** A column's definition, also for a field that has none. */
export const columnOf = (shape, field) => shape.columns.find(column => column.field === field) ?? column(field)

/** The value of a field: rows that are no objects are one value. */
export function fieldOf(value, field) {
  if (!isObject(value)) return field === WHOLE ? value : undefined
  if (Object.hasOwn(value, field)) return value[field]
  if (!field.includes('.')) return undefined
  return field.split('.').reduce((part, name) => (isObject(part) && Object.hasOwn(part, name) ? part[name] : undefined), value)
}

/** A row's value in a column as text. */
export const cellText = (value, column) => formatValue(fieldOf(value, column.field), column)

export const isNumeric = column => column.align === 'right'

const WHOLE = 'value'
const FORMATS_OF_NUMBERS = ['integer', 'decimal', 'percent', 'minutes', 'bytes']
const FORMATS_OF_TIMES = ['time', 'date', 'datetime']

function column(given) {
  if (typeof given === 'string') given = { field: given }
  if (!isObject(given) || typeof given.field !== 'string') return null
  const { field, format, align, decimals, unit } = given
  const isNumber = FORMATS_OF_NUMBERS.includes(format)
  return {
    field,
    title: text(given.title) ?? words(field),
    format: text(format),
    align: align === 'left' || align === 'right' ? align : isNumber ? 'right' : undefined,
    decimals: Number.isInteger(decimals) && decimals >= 0 && decimals <= 20 ? decimals : undefined,
    unit: text(unit),
  }
}

// Numbers stand on the right; numbers that are the milliseconds of a time are shown as one.
function guessed({ field, format, align }, sample) {
  const values = sample.map(value => fieldOf(value, field)).filter(value => value !== undefined && value !== null)
  if (values.length === 0) return { align }
  const areNumbers = values.every(value => typeof value === 'number')
  const areTimes = !format && areNumbers && /(Ms|At)$/.test(field) && values.every(value => value > 1e11 && value < 1e13)
  const shown = format ?? (areTimes ? 'datetime' : undefined)
  return { format: shown, align: align ?? (areNumbers && !FORMATS_OF_TIMES.includes(shown) ? 'right' : 'left') }
}

// One row of aggregates over everything.
const isGlobalAggregate = query => isObject(query) && !query.groupBy && isObject(query.select) && holdsAggregate(query.select)

const holdsAggregate = part =>
  isObject(part) && (part.type === 'agg' || Object.values(part).some(inner => (Array.isArray(inner) ? inner.some(holdsAggregate) : holdsAggregate(inner))))

const isObject = value => typeof value === 'object' && value !== null && !Array.isArray(value)
const text = value => (typeof value === 'string' && value !== '' ? value : undefined)
