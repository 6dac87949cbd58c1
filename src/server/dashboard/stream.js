// Follows some results of one source over one connection: server-sent events, or polling where a browser's
// few connections are used up; resumes after the last offset, for ever.

import { Refused, request } from './api.js'
import { OutOfStep } from './results.js'
import { events } from './sse.js'

const FIRST_WAIT = 250
const LONGEST_WAIT = 5000
const POLL = 1000
/** The server ends connections after a minute; one that has not is dead. */
const LONGEST_CONNECTION = 100_000

export class Follower {
  #listener
  #offset = '-1'
  #abort = null
  #wake = null
  #stopped = false
  #failures = 0
  #restarts = 0

  /**
   * `listener` has `messages(items)`, which applies an answer, `arrived(ms)`, `connected()`, `lost(error)`, and
   * `gone()`, called when a query was dropped; then following has ended.
   */
  constructor({ names, live }, listener) {
    this.names = names
    this.live = live
    this.#listener = listener
  }

  start() {
    this.#run()
    return this
  }

  stop() {
    this.#stopped = true
    this.#abort?.abort()
    this.#wake?.()
  }

  /** Connects anew now: the connection may be dead without a sign of it. */
  kick() {
    this.#abort?.abort()
    this.#wake?.()
  }

  async #run() {
    while (!this.#stopped) {
      const wait = await this.#turn()
      if (wait > 0 && !this.#stopped) await this.#sleep(wait)
    }
  }

  // One connection; how long to wait before the next one.
  async #turn() {
    try {
      const isFresh = await this.#connect()
      if (!isFresh) return backoff(this.#failures++)
      this.#failures = this.#restarts = 0
      return this.live ? 0 : POLL
    } catch (error) {
      if (this.#stopped || this.#abort.signal.aborted) return 0
      const status = error instanceof Refused ? error.status : null
      if (status === 404 || error instanceof Closed) {
        this.#stopped = true
        this.#listener.gone()
        return 0
      }
      if (status === 410 || error instanceof OutOfStep || (status === 400 && this.#offset !== '-1')) {
        this.#offset = '-1'
        // A server that has just started has forgotten our offset: that is no failure the first time.
        return this.#restarts++ === 0 ? 0 : backoff(this.#restarts)
      }
      if (status !== 503) this.#listener.lost(error)
      return error.retryAfter ?? backoff(this.#failures++)
    }
  }

  // One connection; whether anything came of it.
  async #connect() {
    this.#abort = new AbortController()
    const { signal } = this.#abort
    const timer = setTimeout(() => this.#abort.abort(), LONGEST_CONNECTION)
    try {
      const parameters = this.names.map(name => ['query', name])
      parameters.push(['offset', this.#offset])
      if (this.live) parameters.push(['live', 'sse'])
      const response = await request(`v1/changes?${new URLSearchParams(parameters)}`, { signal })
      return this.live ? await this.#events(response) : await this.#answer(response)
    } finally {
      clearTimeout(timer)
    }
  }

  async #events(response) {
    this.#listener.connected()
    let isFresh = false
    for await (const { event, data } of events(response.body)) {
      if (this.#stopped) break
      isFresh = true
      const content = JSON.parse(data)
      if (event === 'data') {
        this.#listener.messages(content)
      } else if (event === 'control') {
        this.#offset = content.streamNextOffset ?? this.#offset
        if (content.arrivedAt !== undefined) this.#listener.arrived(content.arrivedAt)
        if (content.streamClosed) throw new Closed()
      }
    }
    return isFresh
  }

  async #answer(response) {
    const items = await response.json()
    if (this.#stopped) return false
    this.#listener.connected()
    if (items.length) this.#listener.messages(items)
    this.#offset = response.headers.get('stream-next-offset') ?? this.#offset
    if (response.headers.get('stream-closed') === 'true') throw new Closed()
    return true
  }

  #sleep(ms) {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

class Closed extends Error {}

// Doubles up to a few seconds, with some chance so that not all pages come back at once.
const backoff = failures => Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures) * (0.75 + Math.random() / 2)
