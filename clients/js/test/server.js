// A server that the test plays itself: it answers `/v1/query`, and hands each `/v1/changes` request to the test.

import { setTimeout as sleep } from 'node:timers/promises'

export class Server {
  url = 'http://tailwater.test'
  /** By name: what was posted, or what the test put there. */
  queries = new Map()
  /** All requests, as `METHOD path?query`. */
  seen = []
  /** What `/v1/query` answers instead, one each. */
  refusals = []
  #waiting = []
  #asked = []

  fetch = async (input, init = {}) => {
    const url = new URL(input)
    const method = init.method ?? 'GET'
    this.seen.push(`${method} ${url.pathname}${url.search}`)
    this.headers = init.headers
    if (url.pathname === '/v1/changes') return this.#changes(url, init.signal)
    const refusal = this.refusals.shift()
    if (refusal instanceof Error) throw refusal
    if (refusal) return refusal
    if (method === 'POST') {
      const { name, ...query } = JSON.parse(init.body)
      this.queries.set(name, query)
      return Response.json({ name, source: query.source ?? 'flights' }, { status: 201 })
    }
    if (method === 'DELETE') {
      this.queries.delete(url.pathname.split('/').at(-1))
      return new Response(null, { status: 204 })
    }
    const queries = [...this.queries].map(([name, { source = 'flights' }]) => ({ name, source }))
    return Response.json({ queries, broken: [] })
  }

  /** The next request for changes, to be answered by the test. */
  async next() {
    if (this.#asked.length === 0) await new Promise((resolve) => this.#waiting.push(resolve))
    return this.#asked.shift()
  }

  #changes(url, signal) {
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason))
      this.#asked.push(new Request(url, signal, resolve, reject))
      this.#waiting.shift()?.()
    })
  }
}

class Request {
  constructor(url, signal, resolve, reject) {
    Object.assign(this, { signal, resolve, fail: reject })
    this.queries = url.searchParams.getAll('query')
    this.offset = url.searchParams.get('offset')
    this.cursor = url.searchParams.get('cursor')
    this.live = url.searchParams.get('live')
  }

  refuse(status, problem = {}, headers = {}) {
    this.resolve(Response.json({ status, ...problem }, { status, headers }))
  }

  /** The one answer of a long-poll. */
  answer(items, offset, headers = {}) {
    const all = { 'stream-next-offset': offset, 'stream-cursor': `c${offset}`, ...headers }
    this.resolve(items ? Response.json(items, { headers: all }) : new Response(null, { status: 204, headers: all }))
  }

  /** Answers with events; the stream is cut where the client aborts. */
  events() {
    let sink
    const body = new ReadableStream({ start: (controller) => (sink = controller) })
    this.signal?.addEventListener('abort', () => {
      try {
        sink.error(this.signal.reason)
      } catch {
        // Ended before.
      }
    })
    this.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }))
    const write = (text) => sink.enqueue(new TextEncoder().encode(text))
    return {
      write,
      send(items, offset, more = {}) {
        const control = { streamNextOffset: offset, streamCursor: `c${offset}`, upToDate: true, ...more }
        if (items) write(`event: data\ndata:${JSON.stringify(items)}\n\n`)
        write(`event: control\ndata:${JSON.stringify(control)}\n\n`)
      },
      end: () => sink.close(),
      fail: (error) => sink.error(error),
    }
  }
}

/** The messages of a snapshot; rows as [key, value]. */
export function snapshot(type, epoch, rows, ordered = true) {
  return [
    { type, headers: { control: 'snapshot-start' } },
    ...rows.map(([key, value], index) => insert(type, epoch, key, value, ordered ? index : undefined)),
    { type, headers: { control: 'snapshot-end' } },
  ]
}

export function insert(type, epoch, key, value, index) {
  return { type, key, value, headers: { operation: 'insert', epoch, index } }
}

export function update(type, epoch, key, value, index, previousIndex) {
  return { type, key, value, headers: { operation: 'update', epoch, index, previousIndex } }
}

export function remove(type, epoch, key, previousIndex) {
  return { type, key, headers: { operation: 'delete', epoch, previousIndex } }
}

/** Waits until it holds; a bound against hanging only. */
export async function until(holds, what = String(holds)) {
  for (let i = 0; i < 2000; i++) {
    if (holds()) return
    await sleep(5)
  }
  throw new Error(`never: ${what}`)
}
