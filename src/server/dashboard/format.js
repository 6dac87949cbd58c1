// Values as people read them.

const MISSING = ''
const NULL = '–'
const LONGEST = 2000
const MINUTE = 60_000

/** How values are shown: the reader's language, and minutes east of UTC for times without an offset of their own. */
export const settings = { locale: undefined, utcOffsetMinutes: undefined }

/**
 * A value as text. `format` is one of integer, decimal, percent, minutes, time, date, datetime, text,
 * bytes; without it the value says how. `decimals` and `unit` are for numbers.
 */
export function formatValue(value, { format, decimals, unit, sign } = {}) {
  if (value === undefined) return MISSING
  if (value === null) return NULL
  if (typeof value === 'number') return formatNumber(value, format, { decimals, unit, sign })
  if (typeof value === 'string') {
    const time = TIMES[format] ?? (format ? undefined : datetime)
    const parts = time && isoParts(value)
    return parts ? time(parts) : shorten(value)
  }
  if (typeof value === 'boolean') return String(value)
  return shorten(JSON.stringify(value))
}

function formatNumber(value, format, { decimals, unit, sign }) {
  const time = TIMES[format]
  if (time) return time(partsOfMs(value))
  if (format === 'text') return String(decimals === undefined ? value : value.toFixed(decimals))
  if (format === 'bytes') return bytes(value)
  if (format === 'minutes') return minutes(value, decimals, sign)
  const signDisplay = sign ? 'exceptZero' : 'negative'
  if (format === 'percent') return number(value, { style: 'percent', signDisplay, ...digits(decimals ?? 0) })
  const suffix = unit ? `\u202f${unit}` : ''
  if (format === 'integer') return number(value, { signDisplay, ...digits(decimals ?? 0) }) + suffix
  if (format === 'decimal') return number(value, { signDisplay, ...digits(decimals ?? 1) }) + suffix
  return number(value, { signDisplay, ...(decimals === undefined ? adaptive(value) : digits(decimals)) }) + suffix
}

const digits = decimals => ({ minimumFractionDigits: decimals, maximumFractionDigits: decimals })

// As many digits as tell something: 12,345 but 0.0123.
function adaptive(value) {
  if (Number.isInteger(value)) return { maximumFractionDigits: 0 }
  return Math.abs(value) >= 1 ? { maximumFractionDigits: 2 } : { maximumSignificantDigits: 3 }
}

const formatters = new Map()

// Makers of Intl formatters are slow, so each is made once.
function number(value, options) {
  const size = Math.abs(value)
  const notation = size >= 1e15 || (size > 0 && size < 1e-6) ? 'scientific' : 'standard'
  if (notation === 'scientific') options = { signDisplay: options.signDisplay, maximumSignificantDigits: 4 }
  const id = JSON.stringify([settings.locale, notation, options])
  let formatter = formatters.get(id)
  if (!formatter) {
    formatter = new Intl.NumberFormat(settings.locale, { useGrouping: 'min2', notation, ...options })
    formatters.set(id, formatter)
  }
  return formatter.format(value).replaceAll('-', '−').replace('E', 'e')
}

// 45m, 7h 28m; signs are the typographic ones, as wide as digits.
function minutes(value, decimals, sign) {
  const before = value < 0 ? '−' : sign && value > 0 ? '+' : ''
  const size = Math.abs(value)
  if (size < 60 && decimals) return `${before}${number(size, digits(decimals))}m`
  const whole = Math.round(size)
  if (whole === 0) return '0m'
  if (whole < 60) return `${before}${whole}m`
  return `${before}${Math.floor(whole / 60)}h ${String(whole % 60).padStart(2, '0')}m`
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

function bytes(value) {
  let unit = 0
  let size = value
  while (Math.abs(size) >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000
    unit++
  }
  return `${number(size, { maximumFractionDigits: unit && Math.abs(size) < 100 ? 1 : 0 })}\u202f${UNITS[unit]}`
}

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?)?$/
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

// A time with an offset is read on the clock of the place that wrote it, which is what a board shows;
// UTC says nothing of a place.
function isoParts(text) {
  const match = ISO.exec(text)
  if (!match) return undefined
  if (match[7] === 'Z') return partsOfMs(Date.parse(text))
  const [year, month, day, hour, minute] = match.slice(1, 6).map(part => (part === undefined ? undefined : Number(part)))
  return { year, month, day, hour, minute }
}

/** Minutes east of UTC that a moment is shown in. */
export const utcOffset = ms => settings.utcOffsetMinutes ?? -new Date(ms).getTimezoneOffset()

function partsOfMs(ms) {
  const shifted = new Date(ms + utcOffset(ms) * MINUTE)
  if (Number.isNaN(shifted.getTime())) return undefined
  return {
    year: shifted.getUTCFullYear(),
    month: shifted.getUTCMonth() + 1,
    day: shifted.getUTCDate(),
    hour: shifted.getUTCHours(),
    minute: shifted.getUTCMinutes(),
  }
}

const two = part => String(part).padStart(2, '0')
const time = parts => (!parts ? NULL : parts.hour === undefined ? date(parts) : `${two(parts.hour)}:${two(parts.minute)}`)
const date = parts => (parts ? `${parts.day} ${MONTHS[parts.month - 1] ?? '?'} ${parts.year}` : NULL)
const datetime = parts =>
  !parts ? NULL : parts.hour === undefined ? date(parts) : `${parts.day} ${MONTHS[parts.month - 1] ?? '?'} ${time(parts)}`
const TIMES = { time, date, datetime }

const shorten = text => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text)

/** Milliseconds since 1970 of a time as rows hold it, or undefined. */
export function toMs(value) {
  if (typeof value === 'string' && ISO.test(value)) return Date.parse(value)
  return undefined
}

/** The clock of a moment with seconds: 14:03:59, on the reader's clock. */
export function clock(ms) {
  const at = new Date(ms)
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')
}

/** The day and time of event time: Thu 23 May 15:42. */
export function dayAndTime(ms) {
  const parts = partsOfMs(ms)
  if (!parts) return NULL
  const weekday = new Date(Date.UTC(parts.year, parts.month - 1, parts.day)).getUTCDay()
  return `${['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'][weekday]} ${datetime(parts)}`
}

export const timeOfDay = ms => time(partsOfMs(ms))

/** A count: 12,345. */
export const count = value => number(value, { maximumFractionDigits: 0 })

/** A rate of changes: 0, 0.4, 12, 9,870. */
export const rate = value => number(value, { maximumFractionDigits: value < 9.95 && value > 0 ? 1 : 0 })

/** A duration in milliseconds: 0.8 ms, 12 ms, 1.4 s. */
export function duration(ms) {
  if (ms >= 999.5) return `${number(ms / 1000, { maximumFractionDigits: 1 })}\u202fs`
  return `${number(ms, { maximumFractionDigits: ms < 9.95 ? 1 : 0 })}\u202fms`
}

/** `averageDelay` or `arrivals-by-airport` as words: Average delay, Arrivals by airport. */
export function words(name) {
  const text = name
    .replace(/([\p{Ll}\d])(\p{Lu})/gu, (_, before, after) => `${before} ${after.toLowerCase()}`)
    .replace(/[-_.]+/g, ' ')
    .trim()
  return text ? text[0].toUpperCase() + text.slice(1) : name
}

/** Text as searches compare it: without case and accents. */
export const plain = text => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()

/** JSON as people write it: what fits on a line stands on one. */
export function prettyJson(value, width = 100, indent = '') {
  const flat = spaced(value)
  if (typeof value !== 'object' || value === null || indent.length + flat.length <= width) return flat
  const inner = `${indent}  `
  const isList = Array.isArray(value)
  const items = isList
    ? value.map(item => prettyJson(item, width, inner))
    : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${prettyJson(item, width, inner)}`)
  return `${isList ? '[' : '{'}\n${items.map(item => inner + item).join(',\n')}\n${indent}${isList ? ']' : '}'}`
}

function spaced(value) {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const items = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${spaced(item)}`)
  return items.length ? `{ ${items.join(', ')} }` : '{}'
}
