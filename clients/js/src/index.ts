// TanStack DB queries that run on a Tailwater server, as live TanStack collections.

export { createTailwater } from './client.js'
export type { ClientOptions, LiveOptions, LiveResult, NamedOptions, QueryOptions, Row, Tailwater } from './client.js'
export { QueryError, TailwaterError } from './errors.js'
export { aggregate, func } from './functions.js'
export type { Connection } from './http.js'
export { toIR } from './ir.js'
export type { Json } from './ir.js'
export type { Live } from './reader.js'
export { remoteCollection } from './remote.js'
export type { RowSchema } from './remote.js'
export type { Status } from './result.js'
