// The rows of a query as a fold over its stream, one epoch at a time.

import { Sequence } from './sequence.js'

/** More rows than this are not told apart when they change between two paints. */
const MOST_TOUCHED = 4096

/** The stream and our rows do not fit together; read again from the start. */
export class OutOfStep extends Error {}

/** One query's rows, each `{ key, value }`, in the order of the result. */
export class Result {
  constructor({ ordered }) {
    this.ordered = ordered
    this.rows = new Sequence()
    /** Whether a whole snapshot has arrived. */
    this.ready = false
    /** Row changes that came after the snapshot. */
    this.changes = 0
    /** What changed since the last `takeTouched`: key to 'insert' or 'update'. */
    this.touched = new Map()
    /** Whether all rows were replaced since then. */
    this.replaced = false
    this.staged = null
  }

  /** What changed since this was last called. */
  takeTouched() {
    const taken = { touched: this.touched, replaced: this.replaced }
    this.touched = new Map()
    this.replaced = false
    return taken
  }

  control(name) {
    if (name === 'snapshot-start') {
      this.staged = []
    } else if (name === 'snapshot-end') {
      this.#replace(this.staged ?? [])
      this.ready = true
    } else if (name === 'reset') {
      this.#replace([])
    }
  }

  /** Applies the changes of one epoch: messages of this query's type with the same `headers.epoch`. */
  apply(messages) {
    if (this.staged) {
      for (const { key, value } of messages) this.staged.push({ key, value })
      return
    }
    this.changes += messages.length
    if (this.ordered) this.#applyByPlace(messages)
    else for (const message of messages) this.#applyByKey(message)
    for (const { key, headers } of messages) this.#touch(key, headers.operation)
  }

  // Places of removals are those before the epoch, places of insertions those after it.
  #applyByPlace(messages) {
    const removals = messages.filter(({ headers }) => headers.operation !== 'insert')
    const insertions = messages.filter(({ headers }) => headers.operation !== 'delete')
    removals.sort((a, b) => b.headers.previousIndex - a.headers.previousIndex)
    insertions.sort((a, b) => a.headers.index - b.headers.index)
    for (const { key, headers } of removals) {
      const place = headers.previousIndex
      const row = this.rows.at(place)
      if (row?.key !== key) throw new OutOfStep(`row ${place} is ${row?.key}, not ${key}`)
      this.rows.remove(place)
    }
    for (const { key, value, headers } of insertions) {
      const place = headers.index
      if (!(place >= 0 && place <= this.rows.length)) throw new OutOfStep(`there is no place ${place} for ${key}`)
      this.rows.insert(place, { key, value })
    }
  }

  #applyByKey({ key, value, headers }) {
    const sort = sortKey(key)
    const place = this.rows.search(row => compareKeys(row.sort, sort) >= 0)
    const found = this.rows.at(place)?.key === key
    if (headers.operation === 'delete') {
      if (found) this.rows.remove(place)
    } else if (found) {
      this.rows.set(place, { key, value, sort })
    } else {
      this.rows.insert(place, { key, value, sort })
    }
  }

  #replace(rows) {
    if (!this.ordered) {
      for (const row of rows) row.sort = sortKey(row.key)
      rows.sort((a, b) => compareKeys(a.sort, b.sort))
    }
    this.rows = new Sequence(rows)
    this.staged = null
    this.replaced = true
    this.touched.clear()
  }

  #touch(key, operation) {
    if (operation === 'delete') this.touched.delete(key)
    else if (this.touched.get(key) !== 'insert' && this.touched.size < MOST_TOUCHED) this.touched.set(key, operation)
  }
}

/**
 * Applies the messages of one answer to the results they belong to, by name. Returns how many row
 * changes there were of each; those of snapshots do not count.
 */
export function fold(results, messages) {
  const changes = new Map()
  for (let start = 0; start < messages.length; ) {
    const { type, headers } = messages[start]
    const result = results.get(type)
    if (headers.control !== undefined) {
      result?.control(headers.control)
      changes.set(type, changes.get(type) ?? 0)
      start++
      continue
    }
    let end = start + 1
    while (end < messages.length && isSameEpoch(messages[end], type, headers.epoch)) end++
    if (result) {
      const before = result.changes
      result.apply(messages.slice(start, end))
      changes.set(type, (changes.get(type) ?? 0) + result.changes - before)
    }
    start = end
  }
  return changes
}

const isSameEpoch = ({ type, headers }, name, epoch) =>
  type === name && headers.control === undefined && headers.epoch === epoch

/** What rows without an order are sorted by: keys are text, or lists of parts. */
export function sortKey(key) {
  if (!key.startsWith('[')) return [key]
  try {
    return [...JSON.parse(key), key]
  } catch {
    return [key]
  }
}

/** Part by part: null, false and true, numbers, text, the rest. */
export function compareKeys(a, b) {
  for (let part = 0; part < Math.min(a.length, b.length); part++) {
    const order = rank(a[part]) - rank(b[part]) || compareParts(a[part], b[part])
    if (order !== 0) return order
  }
  return a.length - b.length
}

const RANKS = { boolean: 1, number: 2, string: 3, object: 4 }
const rank = part => (part === null ? 0 : RANKS[typeof part])

function compareParts(a, b) {
  if (typeof a === 'object') [a, b] = [JSON.stringify(a), JSON.stringify(b)]
  return a < b ? -1 : a > b ? 1 : 0
}
