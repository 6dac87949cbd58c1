// When to paint: once a frame at most, less often if the reader wants so, never while paused or hidden.

export class Frame {
  #paint
  #asked = false
  #last = -Infinity
  #interval = 0
  #paused = false

  constructor(paint) {
    this.#paint = paint
    document.addEventListener('visibilitychange', () => this.#ask())
  }

  /** Whether changes reach the screen as they come. */
  get running() {
    return !this.#paused && !document.hidden
  }

  get paused() {
    return this.#paused
  }

  set paused(paused) {
    this.#paused = paused
    this.#ask()
  }

  /** Milliseconds between paints; 0 is every frame. */
  set interval(interval) {
    this.#interval = interval
    this.#ask()
  }

  /** Something changed. */
  request() {
    if (this.#asked) return
    this.#asked = true
    this.#ask()
  }

  #scheduled = false

  #ask() {
    if (!this.#asked || !this.running || this.#scheduled) return
    this.#scheduled = true
    const wait = this.#last + this.#interval - performance.now()
    const next = () => requestAnimationFrame(() => this.#run())
    if (wait > 17) setTimeout(next, wait)
    else next()
  }

  #run() {
    this.#scheduled = false
    if (!this.running) return
    this.#asked = false
    this.#last = performance.now()
    this.#paint()
  }
}
