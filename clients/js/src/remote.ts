// Collections that are on the server, as the query builder needs them.

import { createCollection, type Collection } from '@tanstack/db'
import { QueryError } from './errors.js'

/** What of a Standard Schema tells the type of a row. */
export interface RowSchema<T extends object> {
  readonly '~standard': { readonly types?: { readonly output: T } | undefined }
}

const names = new WeakMap<object, string>()

/**
 * Stands for a collection of the server in queries that are sent there. It has no rows here: a
 * local live query over it fails.
 *
 * @param name of the collection: the events' `type`, or its name in the server's schema file
 * @param _schema only tells the type of a row; `remoteCollection<User>('users')` does so too
 */
export function remoteCollection<T extends object = Record<string, any>>(
  name: string,
  _schema?: RowSchema<T>,
): Collection<T, string> {
  const refusal = new QueryError(
    `the collection "${name}" is on the server: query it with live(), not with a local live query`,
  )
  const collection = createCollection<T, string>({
    id: `tailwater:${name}`,
    getKey: () => {
      throw refusal
    },
    sync: { sync: ({ markError }) => markError(refusal) },
  })
  names.set(collection, name)
  return collection
}

/** The server's name of a collection; undefined if it is a local one. */
export function remoteName(collection: object): string | undefined {
  return names.get(collection)
}
