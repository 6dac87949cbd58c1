// Runs a case: a history of batches under a live query of TanStack DB.

import * as db from '@tanstack/db'
import { build, collectionsOf, Skip } from './build.mjs'
import { known } from './differences.mjs'
import { row, textKey } from './rows.mjs'

/**
 * The result before the first batch and after each. `fresh` asks a new live query each time, `raw`
 * answers also what is known to differ.
 */
export function run({ query: ir, batches }, { fresh = false, raw = false } = {}) {
  const difference = !raw && known(ir)
  if (difference) throw new Skip(difference)
  const sources = new Map([...collectionsOf(ir)].map(name => [name, new Source(name)]))
  const collections = Object.fromEntries([...sources].map(([name, source]) => [name, source.collection]))
  let live
  try {
    const start = () => {
      live = db.createLiveQueryCollection({ query: build(ir, collections), startSync: true, gcTime: 0 })
    }
    const snapshot = () => {
      if (live.status !== 'ready') throw new Skip(`live query ${live.status}: ${lastError()}`)
      const entries = [...live.entries()].map(([key, value]) => ({ key: textKey(ir, key), value: row(value) }))
      // findOne leaves it to the reader to take the first row.
      return ir.singleResult ? entries.slice(0, 1) : entries
    }
    start()
    const snapshots = [snapshot()]
    for (const batch of batches) {
      for (const [name, source] of sources) source.apply(batch.filter(message => message.type === name))
      if (fresh) {
        live.cleanup()
        start()
      }
      snapshots.push(snapshot())
    }
    return snapshots
  } finally {
    live?.cleanup()
    for (const source of sources.values()) source.collection.cleanup()
  }
}

let failure = ''
/** TanStack reports a failed graph on the console only. */
console.error = (...parts) => {
  failure = parts.map(part => part?.message ?? String(part)).join(' ')
}
console.warn = () => {}
function lastError() {
  const text = failure
  failure = ''
  return text
}

/** A collection that is told its rows by messages. */
class Source {
  #rows = new Map()
  #sync

  constructor(name) {
    this.collection = db.createCollection({
      id: name,
      getKey: value => value.id,
      startSync: true,
      gcTime: 0,
      sync: {
        rowUpdateMode: 'full',
        sync: sync => {
          this.#sync = sync
          sync.markReady()
        },
      },
    })
  }

  /** One commit of what the messages come to; they may speak of a key more than once. */
  apply(messages) {
    if (messages.length === 0) return
    const before = new Map()
    for (const { key, value, headers } of messages) {
      if (value && value.id !== key) throw new Skip('a row without its key as `id`')
      if (!before.has(key)) before.set(key, this.#rows.get(key))
      if (headers.operation === 'delete') this.#rows.delete(key)
      else this.#rows.set(key, value)
    }
    const { begin, write, commit } = this.#sync
    begin()
    for (const [key, old] of before) {
      const value = this.#rows.get(key)
      if (value && old) write({ type: 'update', value })
      else if (value) write({ type: 'insert', value })
      else if (old) write({ type: 'delete', key })
    }
    commit()
  }
}
