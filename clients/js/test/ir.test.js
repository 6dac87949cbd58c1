import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as db from '@tanstack/db'
import { aggregate, func, QueryError, remoteCollection, toIR } from '../dist/index.js'

const events = remoteCollection('events')
const users = remoteCollection('users')
const ref = (...path) => ({ type: 'ref', path })

test('a query is TanStack\'s IR with collections by name', () => {
  const ir = toIR((q) =>
    q
      .from({ e: events })
      .join({ u: users }, ({ e, u }) => db.eq(e.userId, u.id), 'inner')
      .where(({ u }) => db.eq(u.active, true))
      .groupBy(({ u }) => u.country)
      .select(({ e, u }) => ({ country: u.country, n: db.count(e.id) }))
      .orderBy(({ $selected }) => $selected.n, { direction: 'desc', stringSort: 'lexical' })
      .limit(10),
  )
  assert.deepEqual(ir, {
    from: { type: 'collectionRef', collection: 'events', alias: 'e' },
    join: [
      {
        from: { type: 'collectionRef', collection: 'users', alias: 'u' },
        type: 'inner',
        on: { type: 'func', name: 'eq', args: [ref('e', 'userId'), ref('u', 'id')] },
      },
    ],
    where: [{ type: 'func', name: 'eq', args: [ref('u', 'active'), { type: 'val', value: true }] }],
    groupBy: [ref('u', 'country')],
    select: { country: ref('u', 'country'), n: { type: 'agg', name: 'count', args: [ref('e', 'id')] } },
    orderBy: [
      {
        expression: ref('$selected', 'n'),
        compareOptions: { direction: 'desc', nulls: 'first', stringSort: 'lexical' },
      },
    ],
    limit: 10,
  })
})

test('subqueries, unions and includes name their collections too', () => {
  const active = new db.Query().from({ u: users }).where(({ u }) => db.eq(u.active, true))
  const joined = toIR((q) => q.from({ a: active }).join({ e: events }, ({ a, e }) => db.eq(a.id, e.userId)))
  assert.equal(joined.from.type, 'queryRef')
  assert.deepEqual(joined.from.query.from, { type: 'collectionRef', collection: 'users', alias: 'u' })

  const union = toIR((q) => q.unionAll(new db.Query().from({ e: events }), new db.Query().from({ u: users })))
  assert.deepEqual(union.from.queries.map(({ from }) => from.collection), ['events', 'users'])

  const included = toIR((q) =>
    q.from({ u: users }).select(({ u }) => ({
      id: u.id,
      events: db.toArray(q.from({ e: events }).where(({ e }) => db.eq(e.userId, u.id))),
    })),
  )
  assert.equal(included.select.events.type, 'includesSubquery')
  assert.equal(included.select.events.query.from.collection, 'events')
  assert.deepEqual(included.select.events.correlationField, ref('u', 'id'))
})

test('a query may be a builder, and be sent as JSON text', () => {
  const ir = toIR(new db.Query().from({ e: events }).where(({ e }) => db.inArray(e.kind, ['a', 'b'])))
  assert.deepEqual(JSON.parse(JSON.stringify(ir)), ir)
})

test('the server\'s own functions go by name', () => {
  const ir = toIR((q) =>
    q
      .from({ e: events })
      .groupBy(({ e }) => func('dateTrunc', 'hour', e.at))
      .select(({ e }) => ({ hour: func('dateTrunc', 'hour', e.at), middle: aggregate('median', e.delay) })),
  )
  const hour = { type: 'func', name: 'dateTrunc', args: [{ type: 'val', value: 'hour' }, ref('e', 'at')] }
  assert.deepEqual(ir.groupBy, [hour])
  assert.deepEqual(ir.select, { hour, middle: { type: 'agg', name: 'median', args: [ref('e', 'delay')] } })
})

test('dates are ISO text', () => {
  const ir = toIR((q) => q.from({ e: events }).where(({ e }) => db.gt(e.at, new Date(0))))
  assert.deepEqual(ir.where[0].args[1], { type: 'val', value: '1970-01-01T00:00:00.000Z' })
})

const refused = (query, pattern) =>
  assert.throws(() => toIR(query), (error) => error instanceof QueryError && pattern.test(error.message))

test('functions cannot be sent', () => {
  refused((q) => q.from({ e: events }).fn.where(() => true), /fn\.where\(\).*where\(\)/)
  refused((q) => q.from({ e: events }).fn.select(() => ({ a: 1 })), /fn\.select/)
  refused((q) => q.from({ e: events }).groupBy(({ e }) => e.a).select(({ e }) => ({ a: e.a })).fn.having(() => true), /fn\.having/)
  const inner = new db.Query().from({ e: events }).fn.where(() => true)
  refused((q) => q.from({ i: inner }), /query\.from: .*fn\.where/)
  refused((q) => q.from({ u: users }).select(({ u }) => ({ of: db.toArray(q.from({ e: events }).where(({ e }) => db.eq(e.u, u.id)).fn.where(() => true)) })), /fn\.where/)
})

test('local collections cannot be read there', () => {
  const local = db.createCollection(db.localOnlyCollectionOptions({ id: 'drafts', getKey: ({ id }) => id }))
  refused((q) => q.from({ d: local }), /"drafts" is local/)
  refused((q) => q.from({ e: events }).join({ d: local }, ({ e, d }) => db.eq(e.id, d.id)), /query\.join\[0\]\.from: .*"drafts"/)
})

test('constants are JSON', () => {
  for (const [value, name] of [[undefined, 'undefined'], [NaN, 'NaN'], [10n, 'bigint'], [new Map(), 'Map'], [() => 1, 'function'], [{ deep: [Infinity] }, 'Infinity']]) {
    refused((q) => q.from({ e: events }).where(({ e }) => db.eq(e.a, new db.IR.Value(value))), new RegExp(`query\\.where\\[0\\].*${name}`))
  }
})

test('what is no query is said to be none', () => {
  refused({}, /query builder/)
  refused(() => undefined, /query builder/)
})

test('a remote collection has no rows here', async () => {
  await assert.rejects(events.preload(), /"events" is on the server/)
})
