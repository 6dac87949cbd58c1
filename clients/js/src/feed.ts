// One connection for all queries of a source: reads, reconnects, and hands out what came.

import { messageOf, OutOfStep, TailwaterError } from './errors.js'
import { request, type Connection } from './http.js'
import { stepsOf, type Step } from './messages.js'
import { answers, NoEvents, START, type Live, type Position } from './reader.js'
import { Backoff, wait } from './retry.js'

/** A query that reads a feed. */
export interface Member {
  readonly name: string
  /** The steps of an answer, perhaps none. @throws OutOfStep if they do not fit */
  apply(steps: Step[]): void
  /** The connection is lost; it is tried again. */
  onLost(error: Error): void
  /** The query was dropped, or does not work: it has left the feed. `error` is undefined if it was dropped. */
  onEnd(error: Error | undefined): void
  /** The server does not know the query. Resolves when it does again. @throws if it will not */
  onUnknown(): Promise<void>
}

export interface FeedOptions extends Connection {
  live: Live | 'auto'
  silence: number
}

/** After so many connections that brought nothing, `auto` does without events. */
const TRIES_OF_EVENTS = 3
/** Milliseconds in which more queries may join before a connection is opened. */
const GATHERING = 10
/** A connection that ends sooner, in milliseconds, and without news is not followed by another at once. */
const HASTE = 200

export class Feed {
  readonly #options: FeedOptions
  readonly #members = new Map<string, Member>()
  readonly #backoff = new Backoff()
  #live: Live
  #fruitless = 0
  #position: Position = START
  /** Whose position it is: with other queries one starts anew. */
  #names: string[] = []
  #running = false
  /** Ends the connection that is open, or the wait for the next. */
  #interrupt = new AbortController()

  constructor(options: FeedOptions) {
    this.#options = options
    this.#live = options.live === 'auto' ? 'sse' : options.live
  }

  add(member: Member): void {
    this.#members.set(member.name, member)
    this.#interrupt.abort()
    if (!this.#running) {
      this.#running = true
      void this.#run()
    }
  }

  /** The others read on; the connection that is open still brings this one's changes, until it ends. */
  remove(member: Member): void {
    if (this.#members.get(member.name) !== member) return
    this.#members.delete(member.name)
    if (this.#members.size === 0) this.#interrupt.abort()
  }

  async #run(): Promise<void> {
    while (this.#members.size > 0) {
      const interrupt = (this.#interrupt = new AbortController())
      try {
        await this.#connect(interrupt.signal)
      } catch (error) {
        if (interrupt.signal.aborted) continue
        const pause = await this.#onError(error)
        if (pause) await wait(this.#backoff.next(pause.least), interrupt.signal)
      }
    }
    this.#running = false
  }

  /** Reads until the connection ends. */
  async #connect(signal: AbortSignal): Promise<void> {
    const names = [...this.#members.keys()].sort()
    if (names.join('\n') !== this.#names.join('\n')) {
      // Queries that come together share their first connection: each one that comes ends this wait.
      await wait(GATHERING, signal)
      if (signal.aborted) return
      this.#position = START
      this.#names = names
    }
    const { silence } = this.#options
    const begun = performance.now()
    let came = false
    this.#fruitless++
    for await (const answer of answers(this.#options, names, this.#position, this.#live, silence, signal)) {
      if (signal.aborted) return
      const steps = stepsOf(answer.items)
      for (const member of [...this.#members.values()]) {
        // One that came while this connection was open waits for the next.
        if (names.includes(member.name)) member.apply(steps.get(member.name) ?? [])
      }
      came ||= steps.size > 0
      this.#position = answer.next
      this.#fruitless = 0
      this.#backoff.reset()
      if (answer.closed) return this.#dropped()
    }
    if (this.#fruitless > 0) throw new NoEvents('the connection ended before anything came')
    if (!came && performance.now() - begun < HASTE) await wait(HASTE, signal)
  }

  /** What to do next: to wait at least so long, or to go on at once. */
  async #onError(error: unknown): Promise<{ least: number } | undefined> {
    // A connection that ends without a word says nothing of what is wrong with it: perhaps the offset.
    if (error instanceof OutOfStep || error instanceof NoEvents) this.#position = START
    const known = error instanceof TailwaterError ? error : new TailwaterError(messageOf(error), { cause: error })
    if (known.status === 410 && this.#position !== START) {
      this.#position = START
      return undefined
    }
    if (known.status === 404) return this.#unknown(known)
    if (!known.passing && known.status !== 410) {
      for (const member of [...this.#members.values()]) this.#end(member, known)
      return undefined
    }
    for (const member of this.#members.values()) member.onLost(known)
    if (this.#options.live === 'auto' && this.#live === 'sse') {
      if (error instanceof NoEvents && this.#fruitless >= TRIES_OF_EVENTS) this.#live = 'long-poll'
    }
    return { least: (known.retryAfter ?? 0) * 1000 }
  }

  /** Some query is not there, perhaps since the server started anew. */
  async #unknown(error: TailwaterError): Promise<{ least: number }> {
    this.#position = START
    const there = await this.#there()
    for (const member of there ? [...this.#members.values()] : []) {
      if (there!.has(member.name)) continue
      try {
        await member.onUnknown()
      } catch (refusal) {
        if (refusal instanceof TailwaterError && refusal.passing) member.onLost(refusal)
        else this.#end(member, refusal instanceof Error ? refusal : error)
      }
    }
    return { least: 0 }
  }

  /** Some query was dropped: it ends, and the others go on. */
  async #dropped(): Promise<void> {
    this.#position = START
    const there = await this.#there()
    if (!there) return
    for (const member of [...this.#members.values()]) if (!there.has(member.name)) this.#end(member, undefined)
  }

  /** The names of the queries that the server has; undefined if it does not say. */
  async #there(): Promise<Set<string> | undefined> {
    // Of one query the answer has said enough.
    if (this.#members.size === 1) return new Set()
    try {
      const response = await request(this.#options, '/v1/query')
      const { queries } = (await response.json()) as { queries: { name: string }[] }
      return new Set(queries.map(({ name }) => name))
    } catch {
      return undefined
    }
  }

  #end(member: Member, error: Error | undefined): void {
    this.remove(member)
    member.onEnd(error)
  }
}
