// Where the marks of a chart's axes stand, and what they say.

import { formatValue, utcOffset } from '../format.js'

const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

/** Steps between marks, by the kind of numbers. */
const STEPS = {
  minutes: [1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 7200, 14400],
  whole: [1, 2, 5].flatMap(step => Array.from({ length: 12 }, (_, power) => step * 10 ** power)).sort((a, b) => a - b),
  time: [1, 5, 15, 30, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY],
}

/** Options of the axis below, for points of `pointsOf`; `label` says a place in words. */
export function placesAxis({ kind, isWhole }, label) {
  if (kind === 'time') return { incrs: STEPS.time, splits: clockPlaces, values: (_, places, axis, space, step) => places.map(at => clockText(at, step)) }
  return { ...(isWhole && { incrs: STEPS.whole }), values: (_, places) => places.map(label) }
}

/** Options of the axis at the side, for a column's numbers. */
export function valuesAxis(column) {
  const text = at => formatValue(at, { ...column, decimals: undefined })
  const steps = column?.format === 'integer' ? STEPS.whole : STEPS[column?.format]
  return { ...(steps && { incrs: steps }), values: (_, places) => places.map(text) }
}

// Marks stand at whole hours and midnights of the clock that times are shown in, not of UTC's.
function clockPlaces(_, axis, least, most, step) {
  const offset = utcOffset(least * 1000) * MINUTE
  const places = []
  for (let at = Math.ceil((least + offset) / step) * step - offset; at <= most; at += step) places.push(at)
  return places
}

function clockText(at, step) {
  const time = formatValue(at * 1000, { format: 'time' })
  const [day, month] = formatValue(at * 1000, { format: 'date' }).split(' ')
  return step >= DAY || time === '00:00' ? `${day} ${month}` : time
}
