// Waiting between attempts.

/** Growing waits, each a random part of its bound, so that clients of one server do not come all at once. */
export class Backoff {
  #attempts = 0
  readonly #first: number
  readonly #most: number

  /** @param first bound in milliseconds, doubled with each attempt up to `most` */
  constructor(first = 200, most = 30_000) {
    this.#first = first
    this.#most = most
  }

  /** Milliseconds to wait now; not less than `least`. */
  next(least = 0): number {
    const bound = Math.min(this.#most, this.#first * 2 ** this.#attempts++)
    return Math.max(least, bound * (0.5 + Math.random() / 2))
  }

  reset(): void {
    this.#attempts = 0
  }
}

/** Resolves after so many milliseconds, or at once when the signal is aborted. */
export function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    if (signal.aborted) done()
    else signal.addEventListener('abort', done)
  })
}
