/** Random choices that a seed decides (mulberry32). */
export class Random {
  constructor(seed) {
    this.state = (seed * 0x9e3779b1 + 0x1234567) | 0
    for (let i = 0; i < 3; i++) this.next()
  }
  next() {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  /** From 0 to below n. */
  below(n) {
    return Math.floor(this.next() * n)
  }
  between(low, high) {
    return low + this.below(high - low + 1)
  }
  chance(p) {
    return this.next() < p
  }
  pick(list) {
    return list[this.below(list.length)]
  }
  /** A list of as many results of `make` as a number between `low` and `high`. */
  list(low, high, make) {
    return Array.from({ length: this.between(low, high) }, (_, n) => make(n))
  }
  shuffled(list) {
    const items = [...list]
    for (let n = items.length - 1; n > 0; n--) {
      const m = this.below(n + 1)
      ;[items[n], items[m]] = [items[m], items[n]]
    }
    return items
  }
}
