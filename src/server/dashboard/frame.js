// When to paint: once a frame at most, less often if the reader wants so, never while hidden; while paused only
// what the reader does.

export class Frame {
  #paint
  #isAsked = false
  #isWaiting = false
  #isComing = false
  #last = -Infinity
  #interval = 0
  #paused = false

  /** `paint` is called to paint. */
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

  /** Milliseconds between paints of changes; 0 is every frame. */
  set interval(interval) {
    this.#interval = interval
    this.#ask()
  }

  /** Something changed. */
  request() {
    this.#isAsked = true
    this.#ask()
  }

  /** The reader scrolled, searched, or the like, which shows at once. */
  now() {
    if (this.#isComing) return
    this.#isComing = true
    requestAnimationFrame(() => this.#run())
  }

  #ask() {
    if (!this.#isAsked || !this.running || this.#isWaiting) return
    const wait = this.#last + this.#interval - performance.now()
    if (wait < 17) return this.now()
    this.#isWaiting = true
    setTimeout(() => {
      this.#isWaiting = false
      this.#ask()
    }, wait)
  }

  #run() {
    this.#isComing = false
    if (!this.#paused) this.#isAsked = false
    this.#last = performance.now()
    this.#paint()
  }
}
