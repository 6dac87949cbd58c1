// The client of a Tailwater server: queries in, live results out.

import type { Collection, Context, GetResult, InitialQueryBuilder, QueryBuilder } from '@tanstack/db'
import { messageOf, QueryError, TailwaterError } from './errors.js'
import { Feed } from './feed.js'
import { request, type Connection } from './http.js'
import { toIR, type Json } from './ir.js'
import { nameOf } from './name.js'
import type { Live } from './reader.js'
import { Result, type Status } from './result.js'
import { Backoff, wait } from './retry.js'

export interface ClientOptions extends Connection {
  /**
   * How changes come: `sse`, `long-poll`, or `auto` (default): server-sent events, and long-polling
   * where they do not get through.
   */
  live?: Live | 'auto'
  /** After so many milliseconds without a byte a connection counts as dead. Default 60,000. */
  silence?: number
}

export interface LiveOptions {
  /** The query's name on the server. Default: a hash of the query and its source, which equal queries share. */
  name?: string
  /** The stream that the query reads: a path on the server, or a URL. Default: the server's own choice. */
  source?: string
}

/** A query of the server by its name, such as one of a query file. */
export interface NamedOptions<T extends object> {
  name: string
  /** Keys of rows that are inserted into the collection optimistically. */
  getKey?: (row: T) => string
}

export interface QueryOptions<TContext extends Context> extends LiveOptions {
  /** A query over `remoteCollection`s. */
  query: QueryBuilder<TContext> | ((q: InitialQueryBuilder) => QueryBuilder<TContext>)
  /** Keys of rows that are inserted into the collection optimistically. */
  getKey?: (row: Row<TContext>) => string
}

/** A row of a query's result. */
export type Row<TContext extends Context> = GetResult<TContext> extends object ? GetResult<TContext> : never

/** A result that is live. */
export interface LiveResult<T extends object> {
  /** The query's name on the server. */
  readonly name: string
  /** The rows by key: a source for local live queries, also joined with local collections. */
  readonly collection: Collection<T, string>
  /** The rows in the query's order, by key where it has none. A new array after each change. */
  readonly rows: readonly T[]
  /** The rows' keys, in the same order. */
  readonly keys: readonly string[]
  readonly status: Status
  /** What is wrong: with `error`, with `stale`, and with `loading` after a failure. */
  readonly error: string | undefined
  /** The batch of the source that the rows stand at; undefined where the server has not said. */
  readonly epoch: number | undefined
  /** Resolves when there are rows, perhaps none; rejects if the server refuses the query. */
  ready(): Promise<void>
  /** Calls `listener` after each change of rows or status; gives what ends that. */
  subscribe(listener: () => void): () => void
  /** Ends the result here. The query goes on at the server: see `drop`. */
  close(): void
}

export interface Tailwater {
  /**
   * A query's live result. It is there at once, and loads; equal queries share one connection and
   * one collection.
   *
   * @throws QueryError at once for a query that cannot be sent: with functions such as `fn.where`,
   *   local collections, or constants that are no JSON
   */
  live<TContext extends Context>(options: QueryOptions<TContext>): LiveResult<Row<TContext>>
  live<T extends object = Record<string, any>>(options: NamedOptions<T>): LiveResult<T>
  /** Drops a query from the server, for all its readers. */
  drop(name: string): Promise<void>
  /** Closes all results. */
  close(): void
}

interface Entry {
  result: Result<any>
  /** The query's JSON text; undefined for a query by name. */
  text: string | undefined
  holders: number
  feed: Feed | undefined
  ended: AbortController
}

/** What the server says of a query, as far as it matters here. */
interface Description {
  name: string
  source: string
}

/** A client of the server at `url`. */
export function createTailwater(options: ClientOptions): Tailwater {
  return new Client(options)
}

class Client implements Tailwater {
  readonly #options: ClientOptions
  readonly #entries = new Map<string, Entry>()
  readonly #feeds = new Map<string, Feed>()

  constructor(options: ClientOptions) {
    this.#options = options
  }

  live(options: {
    name?: string
    source?: string
    query?: unknown
    getKey?: (row: any) => string
  }): LiveResult<any> {
    const { source, getKey } = options
    const query = options.query === undefined ? undefined : toIR(options.query)
    const name = options.name ?? (query && nameOf([query, source ?? null]))
    if (name === undefined) throw new QueryError('live() needs a query, or the name of one')
    const text = query && JSON.stringify([query, source])
    const entry = this.#entry(name, text) ?? this.#open({ name, source, query, text, getKey })
    entry.holders++
    return this.#handle(entry)
  }

  async drop(name: string): Promise<void> {
    await request(this.#options, queryPath(name), { method: 'DELETE' })
  }

  close(): void {
    for (const entry of [...this.#entries.values()]) this.#end(entry)
  }

  /** The result that is here already, unless it is over. */
  #entry(name: string, text: string | undefined): Entry | undefined {
    const entry = this.#entries.get(name)
    if (!entry || entry.result.status === 'error' || entry.result.status === 'closed') return undefined
    if (text !== undefined && entry.text !== undefined && entry.text !== text) {
      throw new QueryError(`another query has the name "${name}"`)
    }
    return entry
  }

  #open(opened: {
    name: string
    source: string | undefined
    query: Json | undefined
    text: string | undefined
    getKey: ((row: any) => string) | undefined
  }): Entry {
    const { name, source, query, text, getKey } = opened
    const register = async () => {
      if (query === undefined) throw missing(name)
      return this.#post({ name, query, ...(source !== undefined && { source }) })
    }
    const id = `${String(this.#options.url)}:${name}`
    const result = new Result<any>({ name, id, getKey, register: async () => void (await register()) })
    const entry = { result, text, holders: 0, feed: undefined, ended: new AbortController() }
    this.#entries.set(name, entry)
    void this.#join(entry, query === undefined ? () => this.#find(name) : register)
    return entry
  }

  /** Makes the query known and reads it, as soon as the server lets. */
  async #join(entry: Entry, describe: () => Promise<Description>): Promise<void> {
    const { result, ended } = entry
    const backoff = new Backoff()
    while (!ended.signal.aborted) {
      try {
        const { source } = await describe()
        if (ended.signal.aborted) return
        entry.feed = this.#feed(source)
        entry.feed.add(result)
        return
      } catch (thrown) {
        const error = thrown instanceof TailwaterError ? thrown : new TailwaterError(messageOf(thrown), { cause: thrown })
        if (ended.signal.aborted) return
        if (!error.passing) return result.onEnd(error)
        result.onLost(error)
        await wait(backoff.next((error.retryAfter ?? 0) * 1000), ended.signal)
      }
    }
  }

  async #post(body: Json): Promise<Description> {
    const response = await request(this.#options, '/v1/query', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return (await response.json()) as Description
  }

  async #find(name: string): Promise<Description> {
    const response = await request(this.#options, '/v1/query')
    const { queries } = (await response.json()) as { queries: Description[] }
    const found = queries.find((query) => query.name === name)
    if (!found) throw missing(name)
    return found
  }

  /** Queries of one source share a connection. */
  #feed(source: string): Feed {
    let feed = this.#feeds.get(source)
    if (!feed) {
      const { live = 'auto', silence = 60_000 } = this.#options
      this.#feeds.set(source, (feed = new Feed({ ...this.#options, live, silence })))
    }
    return feed
  }

  #handle(entry: Entry): LiveResult<any> {
    const { result } = entry
    let open = true
    return {
      name: result.name,
      collection: result.collection,
      get rows() {
        return result.rows
      },
      get keys() {
        return result.keys
      },
      get status() {
        return result.status
      },
      get error() {
        return result.error
      },
      get epoch() {
        return result.epoch
      },
      ready: () => result.ready,
      subscribe: (listener) => result.subscribe(listener),
      close: () => {
        if (open && --entry.holders === 0) this.#end(entry)
        open = false
      },
    }
  }

  #end(entry: Entry): void {
    entry.ended.abort()
    entry.feed?.remove(entry.result)
    entry.result.close()
    if (this.#entries.get(entry.result.name) === entry) this.#entries.delete(entry.result.name)
  }
}

function missing(name: string): TailwaterError {
  return new TailwaterError(`the server has no query "${name}"`, { status: 404 })
}

function queryPath(name: string): string {
  return `/v1/query/${encodeURIComponent(name)}`
}
