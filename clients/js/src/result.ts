// A result that is kept up to date: its rows in order, and the same rows as a TanStack collection.

import { BasicIndex, createCollection, type Collection, type SyncConfig } from '@tanstack/db'
import { QueryError, TailwaterError } from './errors.js'
import type { Member } from './feed.js'
import type { Step } from './messages.js'
import { Rows, type RowChange } from './rows.js'

/**
 * - `loading`: there are no rows yet
 * - `live`: the rows are up to date
 * - `stale`: the connection is lost, the rows are those of before; it is tried again
 * - `closed`: by `close()`, or the query was dropped on the server
 * - `error`: the server refuses; it is not tried again
 */
export type Status = 'loading' | 'live' | 'stale' | 'closed' | 'error'

type Sync<T extends object> = Parameters<SyncConfig<T, string>['sync']>[0]

export interface ResultOptions<T extends object> {
  name: string
  /** The collection's id. */
  id: string
  /** The key of a row that was made here, optimistically. */
  getKey: ((row: T) => string) | undefined
  /** Makes the query known to a server that does not know it. @throws if that cannot be done */
  register: () => Promise<void>
}

export class Result<T extends object> implements Member {
  readonly name: string
  readonly collection: Collection<T, string>
  readonly ready: Promise<void>
  readonly onUnknown: () => Promise<void>
  status: Status = 'loading'
  error: string | undefined
  readonly #rows = new Rows<T>()
  readonly #listeners = new Set<() => void>()
  #list: readonly T[] | undefined
  #loaded = false
  #failure: Error | undefined
  #sync: Sync<T> | undefined
  #settle!: { resolve: () => void; reject: (error: Error) => void }

  constructor({ name, id, getKey, register }: ResultOptions<T>) {
    this.name = name
    this.onUnknown = register
    this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }))
    // Whoever does not wait finds the error in the status.
    this.ready.catch(() => {})
    this.collection = createCollection<T, string>({
      id,
      getKey: getKey ?? ((row) => keyOf(row, name)),
      startSync: true,
      gcTime: 0,
      // Local joins look rows up by their fields.
      autoIndex: 'eager',
      defaultIndexType: BasicIndex,
      sync: { rowUpdateMode: 'full', sync: (sync) => this.#start(sync) },
    })
  }

  get rows(): readonly T[] {
    return (this.#list ??= this.#rows.keys.map((key) => this.#rows.get(key)!))
  }

  get keys(): readonly string[] {
    return this.#rows.keys
  }

  get epoch(): number | undefined {
    return this.#rows.epoch
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  apply(steps: Step[]): void {
    if (this.#over) return
    if (steps.length > 0) {
      const changes = this.#rows.apply(steps)
      this.#loaded = true
      this.#list = undefined
      this.#write(changes)
    }
    if (!this.#loaded) return
    const was = this.status
    this.status = 'live'
    this.error = undefined
    this.#sync?.markReady()
    this.#settle.resolve()
    if (steps.length > 0 || was !== 'live') this.#notify()
  }

  onLost(error: Error): void {
    if (!this.#over) this.#enter(this.#loaded ? 'stale' : 'loading', error)
  }

  onEnd(error: Error | undefined): void {
    if (this.#over) return
    this.#failure = error ?? new TailwaterError(`the query "${this.name}" was dropped`)
    this.#enter(error ? 'error' : 'closed', error)
    this.#settle.reject(this.#failure)
    if (!this.#loaded) this.#sync?.markError(this.#failure)
  }

  close(): void {
    if (this.status !== 'closed') this.#enter('closed', undefined)
    this.#settle.reject(new TailwaterError(`the result "${this.name}" was closed`))
    void this.collection.cleanup()
  }

  get #over(): boolean {
    return this.status === 'closed' || this.status === 'error'
  }

  /** The collection starts, perhaps anew after a cleanup: then it needs all rows. */
  #start(sync: Sync<T>): () => void {
    this.#sync = sync
    if (this.#failure && !this.#loaded) sync.markError(this.#failure)
    if (this.#loaded) {
      this.#write(this.keys.map((key) => ({ key, value: this.#rows.get(key), previous: undefined })))
      sync.markReady()
    }
    return () => {
      if (this.#sync === sync) this.#sync = undefined
    }
  }

  /** One transaction of the collection. */
  #write(changes: RowChange<T>[]): void {
    if (!this.#sync || changes.length === 0) return
    const { begin, write, commit } = this.#sync
    begin()
    for (const { key, value, previous } of changes) {
      if (value === undefined) {
        write({ type: 'delete', key })
      } else {
        const message = { type: previous ? ('update' as const) : ('insert' as const), key, value }
        write(message)
      }
    }
    // What a subscriber throws comes out here, when the rows are in already.
    protect(commit)
  }

  #enter(status: Status, error: Error | undefined): void {
    this.status = status
    this.error = error?.message
    this.#notify()
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) protect(listener)
  }
}

/** Rows tell their keys once they have been in the collection. */
function keyOf(row: object, name: string): string {
  const key = (row as { $key?: unknown }).$key
  if (typeof key === 'string') return key
  throw new QueryError(`a new row of "${name}" has no key: give live() a getKey`)
}

/** An error of others' code is theirs to hear of; ours goes on. */
function protect(callback: () => unknown): void {
  try {
    callback()
  } catch (error) {
    if (typeof reportError === 'function') reportError(error)
    else queueMicrotask(() => {
      throw error
    })
  }
}
