// TanStack's queries as the JSON that the server reads.

import { BaseQueryBuilder, IR, type InitialQueryBuilder } from '@tanstack/db'
import { QueryError } from './errors.js'
import { remoteName } from './remote.js'

export type Json = null | boolean | number | string | Json[] | { [field: string]: Json }

/** A query, or a function that writes one, as `createLiveQueryCollection` takes it. */
export type QueryInput<Q> = Q | ((q: InitialQueryBuilder) => Q)

/**
 * The query IR as JSON: collections by name, constants by value.
 *
 * @throws QueryError for what cannot be sent: closures, local collections, constants that are no JSON
 */
export function toIR(input: QueryInput<unknown>): { [field: string]: Json } {
  const builder = typeof input === 'function' ? input(new BaseQueryBuilder() as InitialQueryBuilder) : input
  if (!(builder instanceof BaseQueryBuilder)) {
    throw new QueryError('a query must be written with the query builder of the same @tanstack/db that this package uses')
  }
  return query(builder._getQuery(), 'query')
}

function query(ir: IR.QueryIR, path: string): { [field: string]: Json } {
  if (ir.fnSelect) throw closure(path, 'fn.select()', 'select()')
  if (ir.fnWhere?.length) throw closure(path, 'fn.where()', 'where()')
  if (ir.fnHaving?.length) throw closure(path, 'fn.having()', 'having()')
  return fields(ir, path)
}

function closure(path: string, used: string, instead: string): QueryError {
  return new QueryError(`${path}: a function cannot be sent to the server: write ${used} as ${instead} with expressions`)
}

/** Clauses, expressions and what else the IR is made of. */
function node(value: unknown, path: string): Json {
  if (value instanceof IR.Value) return { type: 'val', value: constant(value.value, path) }
  if (value instanceof IR.PropRef) return { type: 'ref', path: value.path }
  if (value instanceof IR.CollectionRef) {
    const collection = remoteName(value.collection)
    if (collection === undefined) {
      throw new QueryError(
        `${path}: the collection "${value.collection.id}" is local, the server cannot read it: ` +
          'name the server\'s collection with remoteCollection(), or join the result to it in a local live query',
      )
    }
    return { type: 'collectionRef', collection, alias: value.alias }
  }
  if (value instanceof IR.QueryRef) return { type: 'queryRef', query: query(value.query, path), alias: value.alias }
  if (value instanceof IR.UnionAll) {
    return { type: 'unionAll', queries: value.queries.map((q, i) => query(q, `${path}.queries[${i}]`)) }
  }
  if (value instanceof IR.IncludesSubquery) {
    const { query: child, ...rest } = value
    return { ...fields(rest, path), query: query(child, path) }
  }
  if (Array.isArray(value)) return value.map((item, i) => node(item, `${path}[${i}]`))
  if (value !== null && typeof value === 'object') {
    if ('type' in value && value.type === 'descriptorRef') {
      throw new QueryError(`${path}: name the server's collection with remoteCollection()`)
    }
    return fields(value, path)
  }
  return constant(value, path)
}

function fields(object: object, path: string): { [field: string]: Json } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries.map(([name, value]) => [name, node(value, `${path}.${name}`)]))
}

function constant(value: unknown, path: string): Json {
  switch (typeof value) {
    case 'boolean':
    case 'string':
      return value
    case 'number':
      if (Number.isFinite(value)) return value
      break
    case 'object':
      if (value === null) return null
      if (Array.isArray(value)) return value.map((item, i) => constant(item, `${path}[${i}]`))
      if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString()
      if (plain(value)) {
        const entries = Object.entries(value).filter(([, field]) => field !== undefined)
        return Object.fromEntries(entries.map(([name, field]) => [name, constant(field, `${path}.${name}`)]))
      }
  }
  const what = typeof value === 'object' ? (value?.constructor?.name ?? 'object') : `${typeof value} ${String(value)}`
  throw new QueryError(`${path}: ${what} cannot be sent to the server: constants are JSON, and dates`)
}

function plain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
