// The server's functions and aggregates that TanStack's builder has no words for.

import { coalesce, IR } from '@tanstack/db'

/**
 * A function of the server, by name: `func<number>('dateTrunc', 'hour', flight.departure)`.
 * Local live queries do not know it.
 */
export function func<T>(name: string, ...args: unknown[]): IR.Func<T> {
  return new IR.Func<T>(name, expressions(args))
}

/** An aggregate of the server, by name: `aggregate<number>('median', flight.delay)`. */
export function aggregate<T>(name: string, ...args: unknown[]): IR.Aggregate<T> {
  return new IR.Aggregate<T>(name, expressions(args))
}

/** References and constants as expressions: what TanStack's own functions make of their arguments. */
function expressions(args: unknown[]): IR.BasicExpression[] {
  return (coalesce as unknown as (...args: unknown[]) => IR.Func)(...args).args
}
