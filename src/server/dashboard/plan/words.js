// What a plan's steps are called and what they say, in few words.

import { count, duration, formatValue } from '../format.js'

const NAMES = {
  result: 'Result', scan: 'Scan', filter: 'Filter', clock: 'Filter by time', join: 'Join', union: 'Union', aggregate: 'Aggregate',
  project: 'Project', distinct: 'Distinct', over: 'Window function', window: 'Top', include: 'Nested rows', recursive: 'Recursion',
  bound: 'Recursion, again', common: 'Shared part',
}

export const nameOf = step => {
  const kind = detail(step, 'kind')
  if (step.operator === 'join' && kind && kind !== 'inner') return `${kind[0].toUpperCase()}${kind.slice(1)} join`
  if (step.operator === 'scan') return detail(step, 'collection') ?? 'Scan'
  return NAMES[step.operator] ?? step.operator
}

const detail = (step, name) => step.details.find(([known]) => known === name)?.[1]

/** What is said of in the title, or in figures of its own. */
const SAID = { scan: ['collection'], join: ['kind', 'arrangements'], result: [] }

/** What a step works on: `{ name, text }` each. */
export function detailsOf(step) {
  const said = [...(SAID[step.operator] ?? []), 'shared by']
  return step.details.filter(([name]) => !said.includes(name)).map(([name, text]) => ({ name, text }))
}

export const bytes = value => formatValue(value, { format: 'bytes' })

/** The figures of a step: pairs of a name and a text. */
export function figuresOf({ figures, arrangements = [] }) {
  if (!figures) return []
  const { perSecond, rowsOut, rowsIn, rows } = figures
  const list = []
  if (rowsIn !== undefined) list.push(['in', count(rowsIn)])
  list.push(['out', count(rowsOut)])
  if (rows !== undefined) list.push(['holds', `${count(rows)} rows`])
  if (figures.bytes > 0) list.push(['memory', bytes(figures.bytes)])
  for (const { side, rows, bytes: size } of arrangements) list.push([`${side} side`, `${count(rows)} rows, ${bytes(size)}`])
  // A scan works on nothing: what it lets through was looked at before.
  if (perSecond && rowsIn !== undefined) {
    const { busy, steps } = perSecond
    list.push(['per batch', busy > 0 && steps > 0 ? time((busy / steps) * 1e9) : '–'], ['busy', percent(busy)])
  }
  return list
}

/** A part of the time, from 0 to 1. */
export const percent = part => (part > 0 && part < 0.001 ? '< 0.1 %' : `${(part * 100).toFixed(part > 0 && part < 0.1 ? 1 : 0)} %`)

function time(nanos) {
  return nanos < 1e6 ? `${Math.max(1, Math.round(nanos / 1e3))}\u202fµs` : duration(nanos / 1e6)
}

/** A step in a sentence, for those who hear it. */
export function spoken(step) {
  const said = detailsOf(step).map(({ name, text }) => `${name} ${text}`)
  const figures = figuresOf(step).map(([name, text]) => `${name} ${text}`)
  const shared = step.sharedBy > 1 ? [`shared by ${step.sharedBy} queries`] : []
  return [nameOf(step), ...shared, ...said, ...figures].join(', ')
}
