// A random case: a schema, a query over it and a history, all from one seed.

import * as db from '@tanstack/db'
import { build, collectionsOf, toJson } from './build.mjs'
import { history, schema } from './data.mjs'
import { Queries } from './queries.mjs'
import { Random } from './random.mjs'

export function generate(seed) {
  const random = new Random(seed)
  const collections = schema(random)
  const written = new Queries(random, collections).query()
  const batches = history(random, collections)
  // Only what TanStack's builder made of it counts.
  const query = sorted(forEngine(toJson(build(written, placeholders))))
  const read = collectionsOf(query)
  return { query, batches: batches.map(batch => batch.filter(message => read.has(message.type))) }
}

/** Fields by name, as the tests keep JSON: what comes later in `select` overrides. */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted)
  if (!value || typeof value !== 'object') return value
  return Object.fromEntries(Object.keys(value).sort().map(name => [name, sorted(value[name])]))
}

/** The builder wants collections, though it does not look at them. */
const placeholders = Object.fromEntries(
  ['users', 'posts', 'votes'].map(id => [id, db.createCollection({ id, getKey: row => row.id, sync: { sync() {} } })]),
)

/** `PEERS_WITHOUT=alias`: without a field of TanStack's IR that not all engines take. */
function forEngine(query) {
  if (!(process.env.PEERS_WITHOUT ?? '').includes('alias')) return query
  return JSON.parse(JSON.stringify(query, (key, value) => (key === 'sourceAlias' ? undefined : value)))
}
