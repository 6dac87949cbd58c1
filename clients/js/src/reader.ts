// Reads the changes of some queries, from an offset on: one request, one or many answers.

import { TailwaterError } from './errors.js'
import { request, unreachable, type Connection } from './http.js'
import { serverEvents } from './sse.js'

/** How changes come: events on one long response, or a request for each answer. */
export type Live = 'sse' | 'long-poll'

/** Where a reader is. */
export interface Position {
  offset: string
  cursor: string | undefined
}

/** All messages up to a position. */
export interface Answer {
  items: unknown
  next: Position
  /** A query was dropped: nothing comes after this. */
  closed: boolean
}

export const START: Position = { offset: '-1', cursor: undefined }

/**
 * The answers of one request.
 *
 * @param silence after so many milliseconds without a byte the connection counts as dead
 * @throws TailwaterError if the server refuses, or the connection breaks
 */
export async function* answers(
  connection: Connection,
  queries: readonly string[],
  from: Position,
  live: Live,
  silence: number,
  signal: AbortSignal,
): AsyncGenerator<Answer> {
  const parameters = new URLSearchParams(queries.map((query) => ['query', query]))
  parameters.set('offset', from.offset)
  parameters.set('live', live)
  if (from.cursor !== undefined) parameters.set('cursor', from.cursor)
  const watch = new Watch(silence, signal)
  try {
    const response = await request(connection, `/v1/changes?${parameters}`, {
      signal: watch.signal,
      headers: { accept: live === 'sse' ? 'text/event-stream' : 'application/json' },
    })
    watch.alive()
    yield* live === 'sse' ? events(response, from, () => watch.alive()) : body(response, from)
  } catch (error) {
    if (error instanceof TailwaterError) throw error
    throw unreachable(String(connection.url), watch.silent ? new Error('the connection fell silent') : error)
  } finally {
    watch.end()
  }
}

async function* events(response: Response, from: Position, onBytes: () => void): AsyncGenerator<Answer> {
  const type = response.headers.get('content-type') ?? ''
  if (!type.startsWith('text/event-stream') || !response.body) {
    await response.body?.cancel()
    throw new NoEvents(`the answer is ${type || 'empty'}, not a stream of events`)
  }
  let items: unknown[] = []
  let position = from
  for await (const { event, data } of serverEvents(response.body, onBytes)) {
    if (event === 'data') items = items.concat(JSON.parse(data))
    if (event !== 'control') continue
    const control = JSON.parse(data)
    position = { offset: control.streamNextOffset ?? position.offset, cursor: control.streamCursor ?? position.cursor }
    yield { items, next: position, closed: control.streamClosed === true }
    items = []
  }
}

async function* body(response: Response, from: Position): AsyncGenerator<Answer> {
  const text = await response.text()
  const { headers } = response
  yield {
    items: text === '' ? [] : JSON.parse(text),
    next: {
      offset: headers.get('stream-next-offset') ?? from.offset,
      cursor: headers.get('stream-cursor') ?? from.cursor,
    },
    closed: headers.get('stream-closed') === 'true',
  }
}

/** Something on the way does not let events through. */
export class NoEvents extends TailwaterError {}

/** Aborts when nothing has come for a while. */
class Watch {
  silent = false
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal
  readonly #silence: number
  readonly #abort = () => this.#controller.abort(this.#outer.reason)
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(silence: number, outer: AbortSignal) {
    this.#silence = silence
    this.#outer = outer
    if (outer.aborted) this.#abort()
    else outer.addEventListener('abort', this.#abort)
    this.alive()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  alive(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.silent = true
      this.#controller.abort(new Error('the connection fell silent'))
    }, this.#silence)
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#outer.removeEventListener('abort', this.#abort)
    // The rest of a response that is not read would keep its connection.
    this.#controller.abort()
  }
}
