// Which rows a table shows and in which order: all as the result has them, or searched and sorted.

import { cellText, fieldOf } from '../shape.js'
import { plain } from '../format.js'

/** Sorting and searching may take so much of the time; where it needs more, rows are not the newest for a while. */
const SHARE = 0.1

export class Order {
  #columns
  #search = ''
  #sort = null
  #texts = new WeakMap()
  #rows = null
  #of = null
  #version = 0
  #next = 0

  constructor(columns) {
    this.#columns = columns
  }

  /** Whether rows are as the result has them. */
  get isPlain() {
    return this.#search === '' && this.#sort === null
  }

  set search(text) {
    this.#search = plain(text.trim())
    this.#rows = null
  }

  /** `{ column, descending }` or null. */
  set sort(sort) {
    this.#sort = sort
    this.#rows = null
  }

  get sort() {
    return this.#sort
  }

  /**
   * The rows to show: something with `length`, `at` and `slice`. `late` says in how many milliseconds there may be
   * newer ones, if they are not the newest.
   */
  rows(all) {
    if (this.isPlain) return { rows: all }
    const start = performance.now()
    if (this.#rows && this.#of === all) {
      if (this.#version === all.version) return { rows: this.#rows }
      if (start < this.#next) return { rows: this.#rows, late: this.#next - start }
    }
    let rows = [...all]
    if (this.#search) rows = rows.filter(row => this.#text(row).includes(this.#search))
    if (this.#sort) rows.sort(this.#compare())
    this.#rows = rows
    this.#of = all
    this.#version = all.version
    const end = performance.now()
    this.#next = end + (end - start) / SHARE
    return { rows }
  }

  #text(row) {
    let text = this.#texts.get(row)
    if (text === undefined) {
      text = plain(this.#columns.map(column => cellText(row.value, column)).join('\n'))
      this.#texts.set(row, text)
    }
    return text
  }

  #compare() {
    const { field } = this.#sort.column
    const sign = this.#sort.descending ? -1 : 1
    return (a, b) => compareValues(fieldOf(a.value, field), fieldOf(b.value, field), sign)
  }
}

const collator = new Intl.Collator(undefined, { numeric: true })
const RANKS = { boolean: 0, number: 1, string: 2, object: 3 }

/** Order of values for people: what is not there comes last either way. */
export function compareValues(a, b, sign = 1) {
  const isMissing = value => value === undefined || value === null
  if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b)
  const order = RANKS[typeof a] - RANKS[typeof b]
  if (order !== 0) return order * sign
  if (typeof a === 'string') return collator.compare(a, b) * sign
  if (typeof a === 'object') return collator.compare(JSON.stringify(a), JSON.stringify(b)) * sign
  return (a - b) * sign
}
