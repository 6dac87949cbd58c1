// Live figures: changes a second, and latency from the server's arrival of a change to the paint that shows it.

const SECONDS = 5
const SAMPLES = 100

/** Counts over the last seconds. */
export class Meter {
  #buckets = new Array(SECONDS).fill(0)
  #second = 0

  /** `now` in milliseconds, here and below. */
  add(count, now) {
    this.#advance(now)
    this.#buckets[this.#second % SECONDS] += count
  }

  perSecond(now) {
    this.#advance(now)
    return this.#buckets.reduce((sum, count) => sum + count, 0) / SECONDS
  }

  #advance(now) {
    const second = Math.floor(now / 1000)
    const from = Math.max(this.#second + 1, second - SECONDS + 1)
    for (let passed = from; passed <= second; passed++) this.#buckets[passed % SECONDS] = 0
    this.#second = Math.max(this.#second, second)
  }
}

/** The latencies of the last painted changes. */
export class Latency {
  #waiting = []
  #samples = []
  #next = 0

  /** A change arrived at the server at this time, in milliseconds since 1970, and is not painted yet. */
  arrived(at) {
    if (this.#waiting.length < SAMPLES) this.#waiting.push(at)
  }

  /** All that had arrived is on the screen now. */
  painted(now) {
    for (const at of this.#waiting) this.#samples[this.#next++ % SAMPLES] = now - at
    this.#waiting.length = 0
  }

  /** What arrived is not painted as it comes (paused, hidden), so it would tell nothing. */
  forget() {
    this.#waiting.length = 0
  }

  /** The median in milliseconds; null if nothing is known, or the clocks of the two machines differ. */
  median() {
    if (this.#samples.length === 0) return null
    const sorted = [...this.#samples].sort((a, b) => a - b)
    const median = sorted[sorted.length >> 1]
    return median < 0 ? null : median
  }
}
