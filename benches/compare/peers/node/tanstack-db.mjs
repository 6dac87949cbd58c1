// TanStack DB: collections with a sync function, live queries of its builder with a subscriber. Indexes are made
// as queries need them (`autoIndex`), with its `BasicIndex`, as its documentation advises.

import {
  and,
  avg,
  BasicIndex,
  count,
  createCollection,
  createLiveQueryCollection,
  eq,
  gt,
  gte,
  inArray,
  lte,
  max,
  min,
  multiply,
  sum,
} from '@tanstack/db'
import { COLLECTIONS } from './collections.mjs'
import { Engine, run, versionOf } from './program.mjs'

const lexical = { direction: 'desc', stringSort: 'lexical' }
const joined = (q, { events, users }) => q.from({ e: events }).join({ u: users }, ({ e, u }) => eq(e.userId, u.id), 'inner')

const bidRow = (b, price) => ({ auction: b.auction, bidder: b.bidder, price, dateTime: b.dateTime, extra: b.extra })

const QUERIES = {
  events: {
    Q1: (q, { events }) => q.from({ e: events }).where(({ e }) => and(eq(e.language, 'en'), gt(e.bytes, 500))),
    Q2: (q, { events }) =>
      q
        .from({ e: events })
        .groupBy(({ e }) => e.language)
        .select(({ e }) => ({ language: e.language, n: count(e.id), bytes: sum(e.bytes) }))
        .orderBy(({ $selected }) => $selected.n, lexical),
    Q3: (q, tables) => joined(q, tables).select(({ e, u }) => ({ id: e.id, title: e.title, bytes: e.bytes, name: u.name })),
    Q4: (q, { events }) => q.from({ e: events }).orderBy(({ e }) => e.timestamp, lexical).limit(50),
    Q5: (q, tables) =>
      joined(q, tables)
        .where(({ u }) => eq(u.active, true))
        .groupBy(({ u }) => u.country)
        .select(({ e, u }) => ({
          country: u.country,
          n: count(e.id),
          sum: sum(e.bytes),
          avg: avg(e.bytes),
          min: min(e.bytes),
          max: max(e.bytes),
        })),
  },
  nexmark: {
    q0: (q, { bid }) => q.from({ b: bid }).select(({ b }) => bidRow(b, b.price)),
    q1: (q, { bid }) => q.from({ b: bid }).select(({ b }) => bidRow(b, multiply(0.908, b.price))),
    q3: (q, { auction, person }) =>
      q
        .from({ a: auction })
        .join({ p: person }, ({ a, p }) => eq(a.seller, p.id), 'inner')
        .where(({ a, p }) => and(eq(a.category, 10), inArray(p.state, ['OR', 'ID', 'CA'])))
        .select(({ a, p }) => ({ name: p.name, city: p.city, state: p.state, id: a.id })),
    q4: (q, { auction, bid }) =>
      q
        .from({
          f: q
            .from({ a: auction })
            .join({ b: bid }, ({ a, b }) => eq(a.id, b.auction), 'inner')
            .where(({ a, b }) => and(gte(b.dateTime, a.dateTime), lte(b.dateTime, a.expires)))
            .groupBy(({ a }) => [a.id, a.category])
            .select(({ a, b }) => ({ id: a.id, category: a.category, final: max(b.price) })),
        })
        .groupBy(({ f }) => f.category)
        .select(({ f }) => ({ category: f.category, final: avg(f.final) })),
  },
  headline: {
    Q1: (q, { items }) => q.from({ i: items }).orderBy(({ i }) => i.rank),
  },
}

class Source {
  #sync

  constructor(id) {
    this.collection = createCollection({
      id,
      getKey: (row) => row.id ?? row.key,
      startSync: true,
      gcTime: 0,
      autoIndex: 'eager',
      defaultIndexType: BasicIndex,
      sync: {
        rowUpdateMode: 'full',
        sync: (sync) => {
          this.#sync = sync
          sync.markReady()
        },
      },
    })
  }

  /** One transaction. */
  apply(messages) {
    const { begin, write, commit } = this.#sync
    begin()
    for (const { key, value, headers } of messages) write({ type: headers.operation, key, value })
    commit()
  }
}

class TanStack extends Engine {
  #queries
  #sources
  #live = new Map()
  changes = 0

  constructor(_, workload) {
    super()
    this.#queries = QUERIES[workload]
    this.#sources = new Map(COLLECTIONS[workload].map((name) => [name, new Source(name)]))
  }

  async install(names) {
    const collections = Object.fromEntries([...this.#sources].map(([name, source]) => [name, source.collection]))
    for (const name of names) {
      const query = (q) => this.#queries[name](q, collections)
      const live = createLiveQueryCollection({ query, startSync: true, gcTime: 0 })
      await live.preload()
      live.subscribeChanges((changes) => (this.changes += changes.length), { includeInitialState: true })
      this.#live.set(name, live)
    }
  }

  prepare(messages) {
    // Rows without an id have the key of their message.
    for (const { key, value } of messages) if (value && value.id === undefined) value.key = key
    const parts = [...this.#sources].map(([name, source]) => [source, messages.filter((message) => message.type === name)])
    return parts.filter(([, part]) => part.length > 0)
  }

  apply(parts) {
    for (const [source, messages] of parts) source.apply(messages)
  }

  rows(name) {
    const own = ([field]) => !field.startsWith('$')
    return this.#live.get(name).toArray.map((row) => Object.fromEntries(Object.entries(row).filter(own)))
  }
}

await run((dir, workload) => new TanStack(dir, workload), versionOf('@tanstack/db'))
