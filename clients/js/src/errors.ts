// The errors of this package.

/** A request that the server refused, or did not answer. */
export class TailwaterError extends Error {
  override name = 'TailwaterError'
  /** The HTTP status; undefined if there was no answer. */
  readonly status: number | undefined
  /** The server's own word for it, such as `offset_gone`. */
  readonly code: string | undefined
  /** What to do about it, if the server says. */
  readonly hint: string | undefined
  /** Seconds to wait before trying again, if the server says. */
  readonly retryAfter: number | undefined

  constructor(
    message: string,
    details: { status?: number; code?: string; hint?: string; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause })
    this.status = details.status
    this.code = details.code
    this.hint = details.hint
    this.retryAfter = details.retryAfter
  }

  /** Whether the same request may succeed later. */
  get passing(): boolean {
    const status = this.status
    return status === undefined || status >= 500 || status === 408 || status === 425 || status === 429
  }
}

/** A query that cannot be sent to the server; the message says what of it. */
export class QueryError extends Error {
  override name = 'QueryError'
}

/** What the server sent does not fit the rows that are here. They are read again. */
export class OutOfStep extends Error {
  override name = 'OutOfStep'
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
