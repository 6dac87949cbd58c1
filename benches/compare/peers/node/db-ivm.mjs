// db-ivm: TanStack's operators alone, in pipelines written by hand. The current rows live in maps outside and
// give the retractions; a map of each result is the subscriber's.

import {
  consolidate,
  D2,
  filter,
  groupBy,
  groupByOperators,
  join,
  map,
  MultiSet,
  orderByWithFractionalIndex,
  output,
} from '@tanstack/db-ivm'
import { COLLECTIONS } from './collections.mjs'
import { Engine, run, versionOf } from './program.mjs'

const { avg, count, max, min, sum } = groupByOperators

const joined = ({ events, users }) =>
  events.pipe(map(([, e]) => [e.userId, e]), join(users, 'inner'))

/** By number, the greatest first, and then by text. */
const descending = ([a, s], [b, t]) => b - a || (s < t ? -1 : s > t ? 1 : 0)

/** Streams of `[key, row]`, or of `[key, [row, index]]` where they are ordered. */
const QUERIES = {
  events: {
    Q1: ({ events }) => events.pipe(filter(([, e]) => e.language === 'en' && e.bytes > 500)),
    Q2: ({ events }) =>
      events.pipe(
        groupBy(([, e]) => ({ language: e.language }), { n: count(), bytes: sum(([, e]) => e.bytes) }),
        orderByWithFractionalIndex((row) => [row.n, row.language], { comparator: descending }),
      ),
    Q3: (inputs) =>
      joined(inputs).pipe(
        map(([, [e, u]]) => [e.id, [e, u]]),
        // A batch that changes both sides inserts and deletes pairs that never were.
        consolidate(),
        map(([id, [e, u]]) => [id, { id, title: e.title, bytes: e.bytes, name: u.name }]),
      ),
    Q4: ({ events }) =>
      events.pipe(orderByWithFractionalIndex((e) => [e.timestamp, e.id], { comparator: descending, limit: 50 })),
    Q5: ({ events, users }) => {
      const bytes = ([, [e]]) => e.bytes
      const aggregates = { n: count(), sum: sum(bytes), avg: avg(bytes), min: min(bytes), max: max(bytes) }
      const active = users.pipe(filter(([, u]) => u.active))
      return joined({ events, users: active }).pipe(groupBy(([, [, u]]) => ({ country: u.country }), aggregates))
    },
  },
}

/** A result by key, as its subscriber has it. */
class Result {
  rows = new Map()

  /** Of a key's changes, as TanStack DB does it: their sum tells whether it stays, the last insert is its row. */
  apply(changes) {
    const touched = new Map()
    for (const [[key, row], weight] of changes) {
      let change = touched.get(key)
      if (!change) touched.set(key, (change = { weight: this.rows.has(key) ? 1 : 0 }))
      change.weight += weight
      if (weight > 0) change.row = row
    }
    for (const [key, { weight, row }] of touched) {
      if (weight <= 0) this.rows.delete(key)
      else if (row !== undefined) this.rows.set(key, row)
    }
  }

  get() {
    const rows = [...this.rows.values()]
    if (!Array.isArray(rows[0])) return rows
    return rows.sort(([, a], [, b]) => (a < b ? -1 : 1)).map(([row]) => row)
  }
}

class DbIvm extends Engine {
  #queries
  #rows
  #graph
  #inputs
  #results = new Map()

  constructor(_, workload) {
    super()
    this.#queries = QUERIES[workload]
    this.#rows = Object.fromEntries(COLLECTIONS[workload].map((name) => [name, new Map()]))
  }

  install(names) {
    this.#graph = new D2()
    this.#inputs = Object.fromEntries(Object.keys(this.#rows).map((name) => [name, this.#graph.newInput()]))
    for (const name of names) {
      const result = new Result()
      this.#queries[name](this.#inputs).pipe(output((changes) => result.apply(changes.getInner())))
      this.#results.set(name, result)
    }
    this.#graph.finalize()
    for (const [name, rows] of Object.entries(this.#rows)) {
      if (rows.size > 0) this.#inputs[name].sendData(new MultiSet([...rows].map((row) => [row, 1])))
    }
    this.#graph.run()
  }

  apply(messages) {
    const changes = {}
    for (const { type, key, value } of messages) {
      const [rows, part] = [this.#rows[type], (changes[type] ??= [])]
      const old = rows.get(key)
      if (old) part.push([[key, old], -1])
      if (value) {
        rows.set(key, value)
        part.push([[key, value], 1])
      } else rows.delete(key)
    }
    if (!this.#graph) return
    for (const [type, part] of Object.entries(changes)) this.#inputs[type].sendData(new MultiSet(part))
    this.#graph.run()
  }

  rows(name) {
    return this.#results.get(name).get()
  }
}

await run((dir, workload) => new DbIvm(dir, workload), versionOf('@tanstack/db-ivm'))
