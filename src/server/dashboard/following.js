// Which results are followed over which connection: one for all queries of a source.

import { fold, Result } from './results.js'
import { Follower } from './stream.js'

/** A browser has six connections to a server; with more sources than this the others are polled. */
const MOST_LIVE = 3
/** What has a result to follow. One that failed had one, if it was followed before. */
const FOLLOWED = ['live', 'stale', 'ended']

export class Following {
  #connections = new Map()

  /**
   * `listener` has `changed(changes)`, a map of names to counts, `arrived(ms, names)`, and `moved()`, called when a
   * connection was made, lost, or ended because a query was dropped.
   */
  constructor(listener) {
    this.listener = listener
    this.results = new Map()
  }

  /** Follows these queries of the list, and no others. */
  sync(queries) {
    const sources = new Map()
    for (const { name, source, ordered, status } of queries) {
      const known = this.results.get(name)
      if (known?.ordered !== ordered) {
        this.results.set(name, new Result({ ordered }))
        // The connection may have brought the rows of the query as it is now, and to the old one.
        if (known) this.#end(source)
      }
      const isFollowed = this.#connections.get(source)?.names.includes(name)
      if (!FOLLOWED.includes(status.state) && !(status.state === 'error' && isFollowed)) continue
      if (!sources.has(source)) sources.set(source, [])
      sources.get(source).push({ name, isEnded: status.state === 'ended' })
    }
    const known = new Set(queries.map(query => query.name))
    for (const name of this.results.keys()) if (!known.has(name)) this.results.delete(name)
    for (const source of this.#connections.keys()) if (!sources.has(source)) this.#end(source)
    for (const [source, followed] of sources) {
      const names = followed.map(query => query.name).sort()
      const connection = this.#connections.get(source)
      const isSame = connection && connection.names.join() === names.join()
      const isDone = followed.every(query => query.isEnded)
      if (isSame && (!connection.isOver || isDone)) continue
      this.#end(source)
      this.#begin(source, names)
    }
  }

  /** Whether nothing will come any more from a source, as a query was dropped. */
  isOver(source) {
    return this.#connections.get(source)?.isOver ?? false
  }

  /** Since when a source's connection is lost, or null. */
  lostSince(source) {
    return this.#connections.get(source)?.lostSince ?? null
  }

  /** Connects all anew that may be dead without knowing it. */
  kick() {
    for (const { follower } of this.#connections.values()) follower.kick()
  }

  #begin(source, names) {
    const connection = { names, isOver: false, lostSince: null }
    let changed = []
    const live = this.#connections.size < MOST_LIVE
    connection.follower = new Follower({ names, live }, {
      messages: items => {
        const changes = fold(this.results, items)
        changed = [...changes.keys()]
        this.listener.changed(changes)
      },
      arrived: at => this.listener.arrived(at, changed),
      connected: () => {
        if (connection.lostSince === null) return
        connection.lostSince = null
        this.listener.moved()
      },
      lost: () => {
        if (connection.lostSince !== null) return
        connection.lostSince = Date.now()
        this.listener.moved()
      },
      gone: () => {
        connection.isOver = true
        this.listener.moved()
      },
    }).start()
    this.#connections.set(source, connection)
  }

  #end(source) {
    this.#connections.get(source)?.follower.stop()
    this.#connections.delete(source)
  }
}
