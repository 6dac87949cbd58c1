// Random choices from a seed: the same seed makes the same case on every machine.

export class Random {
  #state

  constructor(seed) {
    this.#state = seed >>> 0
    // Neighbouring seeds would start alike.
    for (let i = 0; i < 3; i++) this.next()
  }

  /** From 0 up to 1 (mulberry32). */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  below(n) {
    return Math.floor(this.next() * n)
  }

  between(low, high) {
    return low + this.below(high - low + 1)
  }

  /** True so often in a hundred times. */
  chance(percent) {
    return this.next() * 100 < percent
  }

  pick(list) {
    return list[this.below(list.length)]
  }

  /** One of `[[weight, value], …]`. */
  weighted(choices) {
    let at = this.next() * choices.reduce((sum, [weight]) => sum + weight, 0)
    return choices.find(([weight]) => (at -= weight) < 0)?.[1] ?? choices.at(-1)[1]
  }

  some(count, make) {
    return Array.from({ length: count }, (_, i) => make(i))
  }
}
