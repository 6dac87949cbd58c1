import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as db from '@tanstack/db'
import { createTailwater, QueryError, remoteCollection } from '../dist/index.js'
import { insert, remove, Server, snapshot, until, update } from './server.js'

const flights = remoteCollection('flights')
const query = (q) => q.from({ f: flights }).orderBy(({ f }) => f.time).limit(3)

/** A server and a client of it; closed after the test. */
function start(t, options = {}) {
  const server = new Server()
  const tailwater = createTailwater({ url: server.url, fetch: server.fetch, ...options })
  t.after(() => tailwater.close())
  return { server, tailwater }
}

/** A live result with two rows over events. */
async function live(t, options) {
  const { server, tailwater } = start(t, options)
  const top = tailwater.live({ name: 'top', query })
  const events = (await server.next()).events()
  events.send(snapshot('top', 1, [['a', { n: 1 }], ['b', { n: 2 }]]), 'o1')
  await top.ready()
  return { server, tailwater, top, events }
}

const plain = (rows) => rows.map(({ n, text }) => (text === undefined ? { n } : { n, text }))

test('a query is posted, read, and kept up to date', async (t) => {
  const { server, tailwater } = start(t, { token: () => 'secret' })
  const top = tailwater.live({ query, source: 'flights' })
  assert.deepEqual([top.status, top.rows, top.epoch], ['loading', [], undefined])
  const request = await server.next()
  assert.equal(server.headers.get('authorization'), 'Bearer secret')
  assert.deepEqual([request.queries, request.offset, request.live, request.cursor], [[top.name], '-1', 'sse', null])
  assert.equal(server.queries.get(top.name).query.limit, 3)
  assert.equal(server.queries.get(top.name).source, 'flights')

  const events = request.events()
  events.send(snapshot(top.name, 4, [['a', { n: 1 }], ['b', { n: 2 }]]), 'o1')
  await top.ready()
  assert.deepEqual([top.status, top.rows, top.keys, top.epoch], ['live', [{ n: 1 }, { n: 2 }], ['a', 'b'], 4])
  assert.deepEqual(plain(top.collection.toArray), [{ n: 1 }, { n: 2 }])
  assert.equal(top.collection.get('b').n, 2)

  events.send(
    [insert(top.name, 5, 'c', { n: 0 }, 0), update(top.name, 5, 'a', { n: 9 }, 2, 0), remove(top.name, 6, 'b', 1)],
    'o2',
  )
  await until(() => top.epoch === 6)
  assert.deepEqual([top.rows, top.keys], [[{ n: 0 }, { n: 9 }], ['c', 'a']])
  assert.deepEqual([...top.collection.keys()], ['a', 'c'])
})

test('an answer is one batch of the collection and one call of each listener', async (t) => {
  const { top, events } = await live(t)
  const batches = []
  let calls = 0
  top.collection.subscribeChanges((changes) => batches.push(changes.map(({ type, key }) => [type, key])), {
    includeInitialState: true,
  })
  batches.length = 0
  top.subscribe(() => calls++)
  events.send([remove('top', 2, 'a', 0), insert('top', 3, 'c', { n: 3 }, 1), update('top', 3, 'b', { n: 2, x: 1 }, 0, 0)], 'o2')
  await until(() => top.epoch === 3)
  assert.deepEqual(batches.map((batch) => batch.sort()), [[['delete', 'a'], ['insert', 'c'], ['update', 'b']]])
  assert.equal(calls, 1)
})

test('data without its control event is not taken, and comes again', async (t) => {
  const { server, top, events } = await live(t)
  events.write(`event: data\ndata:${JSON.stringify([remove('top', 2, 'a', 0)])}\n\n`)
  events.end()
  const again = await server.next()
  assert.deepEqual([again.offset, again.cursor, top.rows.length], ['o1', 'co1', 2])
  again.events().send([remove('top', 2, 'a', 0)], 'o2')
  await until(() => top.epoch === 2)
  assert.deepEqual(top.keys, ['b'])
})

test('after a broken connection the rows are stale, and reading goes on from the last offset', async (t) => {
  const { server, top, events } = await live(t)
  const seen = []
  top.subscribe(() => seen.push(top.status))
  events.fail(new Error('reset by peer'))
  const second = await server.next()
  assert.equal(top.status, 'stale')
  assert.match(top.error, /no answer from http:\/\/tailwater\.test: reset by peer/)
  assert.deepEqual([second.offset, top.rows.length], ['o1', 2])
  second.refuse(503, { detail: 'not ready yet' }, { 'retry-after': '0' })
  const third = await server.next()
  assert.equal(top.error, '503: not ready yet')
  third.events().send(undefined, 'o1')
  await until(() => top.status === 'live')
  assert.deepEqual([top.error, seen], [undefined, ['stale', 'stale', 'live']])
})

test('an offset that is gone: all rows are read again and replaced in one batch', async (t) => {
  const { server, top, events } = await live(t)
  const batches = []
  top.collection.subscribeChanges((changes) => batches.push(changes.map(({ type, key }) => [type, key])), {
    includeInitialState: true,
  })
  batches.length = 0
  const b = top.rows[1]
  events.end()
  ;(await server.next()).refuse(410, { detail: 'gone' })
  const again = await server.next()
  assert.deepEqual([again.offset, top.status], ['-1', 'live'])
  again.events().send(snapshot('top', 0, [['c', { n: 0 }], ['b', { n: 2 }]]), 'p1')
  await until(() => top.epoch === 0)
  assert.deepEqual([top.keys, top.rows], [['c', 'b'], [{ n: 0 }, { n: 2 }]])
  assert.equal(top.rows[1], b)
  assert.deepEqual(batches.map((batch) => batch.sort()), [[['delete', 'a'], ['insert', 'c']]])
})

test('what does not fit the rows is read again', async (t) => {
  const { server, top, events } = await live(t)
  events.send([remove('top', 2, 'b', 0)], 'o2')
  const again = await server.next()
  assert.deepEqual([again.offset, top.status, top.keys], ['-1', 'stale', ['a', 'b']])
  again.events().send(snapshot('top', 2, []), 'o2')
  await until(() => top.status === 'live')
  assert.deepEqual(top.rows, [])
})

test('a connection that ends without a word is followed by one from the start', async (t) => {
  const { server, top, events } = await live(t)
  events.end()
  ;(await server.next()).events().end()
  const again = await server.next()
  assert.deepEqual([again.offset, top.status, top.error], ['-1', 'stale', 'the connection ended before anything came'])
  again.events().send(snapshot('top', 2, []), 'o2')
  await until(() => top.status === 'live')
})

test('a server that lost the query is given it again', async (t) => {
  const { server, top, events } = await live(t)
  server.queries.clear()
  events.end()
  ;(await server.next()).refuse(404, { detail: 'no such query' })
  const again = await server.next()
  assert.equal(again.offset, '-1')
  assert.ok(server.queries.has('top'))
  again.events().send(snapshot('top', 0, [['z', { n: 0 }]]), 'p1')
  await until(() => top.keys[0] === 'z')
  assert.equal(top.status, 'live')
})

test('a query by name is read as it is, and cannot be given again', async (t) => {
  const { server, tailwater } = start(t)
  server.queries.set('totals', {})
  const totals = tailwater.live({ name: 'totals' })
  const request = await server.next()
  assert.ok(!server.seen.some((line) => line.startsWith('POST')))
  request.events().send(snapshot('totals', 1, [['b', { n: 1 }]], false), 'o1')
  await totals.ready()

  const missing = tailwater.live({ name: 'missing' })
  await assert.rejects(missing.ready(), /no query "missing"/)
  assert.deepEqual([missing.status, missing.collection.status], ['error', 'error'])
  await assert.rejects(missing.collection.preload(), /no query "missing"/)
})

test('results without an order stand by key', async (t) => {
  const { server, tailwater } = start(t)
  server.queries.set('totals', {})
  const totals = tailwater.live({ name: 'totals' })
  const events = (await server.next()).events()
  events.send(snapshot('totals', 1, [['[2]', { n: 2 }], ['[10]', { n: 10 }]], false), 'o1')
  await totals.ready()
  events.send([insert('totals', 2, '[3]', { n: 3 }), update('totals', 2, '[2]', { n: 0 }), remove('totals', 2, '[10]'), insert('totals', 2, '[1]', { n: 1 })], 'o2')
  await until(() => totals.epoch === 2)
  assert.deepEqual([totals.keys, totals.rows.map(({ n }) => n)], [['[1]', '[2]', '[3]'], [1, 0, 3]])
})

test('a query that the server refuses', async (t) => {
  const { server, tailwater } = start(t)
  server.refusals.push(Response.json({ status: 400, code: 'bad_query', detail: 'no collection flights', hint: 'there is flight' }, { status: 400 }))
  const top = tailwater.live({ query })
  await assert.rejects(top.ready(), { name: 'TailwaterError', status: 400, code: 'bad_query', hint: 'there is flight' })
  assert.deepEqual([top.status, top.error], ['error', '400: no collection flights (there is flight)'])
})

test('a server that is not there yet is tried again', async (t) => {
  const { server, tailwater } = start(t)
  server.refusals.push(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') }))
  const top = tailwater.live({ query })
  await until(() => top.error)
  assert.deepEqual([top.status, top.error], ['loading', 'no answer from http://tailwater.test: fetch failed: connect ECONNREFUSED'])
  ;(await server.next()).events().send(snapshot(top.name, 1, []), 'o1')
  await top.ready()
  assert.deepEqual([top.status, top.error], ['live', undefined])
})

test('a query that is dropped closes its result; the rows stay', async (t) => {
  const { top, events, tailwater, server } = await live(t)
  await tailwater.drop('top')
  events.send(undefined, 'o1', { streamClosed: true })
  await until(() => top.status === 'closed')
  assert.deepEqual([top.keys, top.collection.size, top.error], [['a', 'b'], 2, undefined])
  const anew = tailwater.live({ name: 'top', query })
  ;(await server.next()).events().send(snapshot('top', 1, []), 'o1')
  await anew.ready()
})

test('queries of one source share a connection, and one that is dropped leaves the others', async (t) => {
  const { server, tailwater } = start(t)
  server.queries.set('far', { source: 'http://elsewhere/x' })
  const a = tailwater.live({ name: 'a', query })
  const b = tailwater.live({ name: 'b', query: (q) => q.from({ f: flights }) })
  const far = tailwater.live({ name: 'far' })
  const requests = [await server.next(), await server.next()]
  const near = requests.find(({ queries }) => queries.length === 2)
  assert.deepEqual(requests.map(({ queries }) => queries.join()).sort(), ['a,b', 'far'])
  const events = near.events()
  events.send([...snapshot('a', 1, [['x', { n: 1 }]]), ...snapshot('b', 1, [['y', { n: 2 }]], false)], 'o1')
  await Promise.all([a.ready(), b.ready()])
  assert.equal(far.status, 'loading')

  events.send([insert('a', 2, 'z', { n: 0 }, 0)], 'o2')
  await until(() => a.epoch === 2)
  assert.equal(b.epoch, 1)

  server.queries.delete('a')
  events.send(undefined, 'o2', { streamClosed: true })
  const rest = await server.next()
  assert.deepEqual([rest.queries, rest.offset, a.status, b.status], [['b'], '-1', 'closed', 'live'])
})

test('a query that comes later joins the connection; all are read again', async (t) => {
  const { server, tailwater, top } = await live(t)
  const later = tailwater.live({ name: 'later', query: (q) => q.from({ f: flights }) })
  const both = await server.next()
  assert.deepEqual([both.queries, both.offset], [['later', 'top'], '-1'])
  let batches = 0
  top.collection.subscribeChanges(() => batches++)
  both.events().send([...snapshot('later', 2, []), ...snapshot('top', 2, [['a', { n: 1 }], ['b', { n: 2 }]])], 'o2')
  await later.ready()
  assert.deepEqual([top.epoch, batches], [2, 0])
})

test('equal queries are one, until the last is closed', async (t) => {
  const { server, tailwater, top } = await live(t)
  const same = tailwater.live({ name: 'top', query })
  assert.equal(same.collection, top.collection)
  assert.throws(() => tailwater.live({ name: 'top', query: (q) => q.from({ f: flights }) }), QueryError)
  top.close()
  top.close()
  assert.equal(same.status, 'live')
  same.close()
  assert.deepEqual([same.status, same.collection.status], ['closed', 'cleaned-up'])
  const unnamed = [tailwater.live({ query }), tailwater.live({ query }), tailwater.live({ query, source: 'other' })]
  assert.equal(unnamed[0].collection, unnamed[1].collection)
  assert.notEqual(unnamed[0].name, unnamed[2].name)
  const queries = [(await server.next()).queries, (await server.next()).queries]
  assert.deepEqual(queries.flat().sort(), [unnamed[0].name, unnamed[2].name].sort())
})

test('long-polling', async (t) => {
  const { server, tailwater } = start(t, { live: 'long-poll' })
  const top = tailwater.live({ name: 'top', query })
  ;(await server.next()).answer(snapshot('top', 1, [['a', { n: 1 }]]), 'o1')
  await top.ready()
  const second = await server.next()
  assert.deepEqual([second.live, second.offset, second.cursor], ['long-poll', 'o1', 'co1'])
  second.answer(undefined, 'o1')
  const third = await server.next()
  third.answer([remove('top', 2, 'a', 0)], 'o2')
  const fourth = await server.next()
  assert.deepEqual([fourth.offset, top.rows, top.epoch], ['o2', [], 2])
  fourth.answer(undefined, 'o2', { 'stream-closed': 'true' })
  await until(() => top.status === 'closed')
})

test('where events do not get through, long-polling does', async (t) => {
  const { server, tailwater } = start(t)
  const top = tailwater.live({ name: 'top', query })
  for (let i = 0; i < 3; i++) {
    const request = await server.next()
    assert.equal(request.live, 'sse')
    if (i === 1) request.events().end()
    else request.answer([], 'o1')
  }
  const request = await server.next()
  assert.equal(request.live, 'long-poll')
  request.answer(snapshot('top', 1, []), 'o1')
  await top.ready()
})

test('a connection that falls silent is given up', async (t) => {
  const { server, top } = await live(t, { silence: 50 })
  const again = await server.next()
  assert.deepEqual([again.offset, top.status], ['o1', 'stale'])
  assert.match(top.error, /fell silent/)
})

test('a listener that throws harms nobody', async (t) => {
  const { top, events } = await live(t)
  const errors = []
  globalThis.reportError = (error) => errors.push(error.message)
  t.after(() => delete globalThis.reportError)
  top.subscribe(() => {
    throw new Error('listener')
  })
  const subscriber = (changes) => {
    if (changes.some(({ type }) => type === 'delete')) throw new Error('subscriber')
  }
  top.collection.subscribeChanges(subscriber, { includeInitialState: true })
  events.send([remove('top', 2, 'a', 0)], 'o2')
  events.send([remove('top', 3, 'b', 0)], 'o3')
  await until(() => errors.length === 4)
  assert.deepEqual([top.status, top.rows], ['live', []])
  assert.deepEqual([...new Set(errors)].sort(), ['listener', 'subscriber'])
})

test('a local live query joins the result with optimistic rows', async (t) => {
  const { top, events } = await live(t)
  const notes = db.createCollection(db.localOnlyCollectionOptions({ id: 'notes', getKey: ({ of }) => of }))
  const joined = db.createLiveQueryCollection({
    startSync: true,
    query: (q) =>
      q
        .from({ t: top.collection })
        .join({ note: notes }, ({ t, note }) => db.eq(t.n, note.of), 'left')
        .select(({ t, note }) => ({ n: t.n, text: note?.text }))
        .orderBy(({ t }) => t.n),
  })
  await joined.preload()
  assert.deepEqual(plain(joined.toArray), [{ n: 1 }, { n: 2 }])
  notes.insert({ of: 2, text: 'late' })
  assert.deepEqual(plain(joined.toArray), [{ n: 1 }, { n: 2, text: 'late' }])
  events.send([update('top', 2, 'a', { n: 2 }, 1, 0), update('top', 2, 'b', { n: 1 }, 0, 1)], 'o2')
  await until(() => top.epoch === 2)
  assert.deepEqual(plain(joined.toArray), [{ n: 1 }, { n: 2, text: 'late' }])
  assert.equal(joined.toArray[1].n, 2)
  await joined.cleanup()
})

test('rows may be changed optimistically until the server has them', async (t) => {
  const { server, tailwater } = start(t)
  const todos = tailwater.live({ name: 'todos', query: (q) => q.from({ t: remoteCollection('todos') }), getKey: ({ id }) => id })
  const events = (await server.next()).events()
  events.send(snapshot('todos', 1, [['1', { id: '1', n: 1 }]], false), 'o1')
  await todos.ready()
  let sent
  const add = db.createOptimisticAction({
    onMutate: (row) => todos.collection.insert(row),
    mutationFn: () => new Promise((resolve) => (sent = resolve)),
  })
  const transaction = add({ id: '2', n: 2 })
  assert.deepEqual(plain(todos.collection.toArray), [{ n: 1 }, { n: 2 }])
  assert.equal(todos.rows.length, 1)
  events.send([insert('todos', 2, '2', { id: '2', n: 20 })], 'o2')
  await until(() => todos.epoch === 2)
  sent()
  await transaction.isPersisted.promise
  assert.deepEqual(plain(todos.collection.toArray), [{ n: 1 }, { n: 20 }])
})

test('a collection that was cleaned up starts anew with all rows', async (t) => {
  const { top, events } = await live(t)
  await top.collection.cleanup()
  events.send([remove('top', 2, 'a', 0)], 'o2')
  await until(() => top.epoch === 2)
  await top.collection.preload()
  assert.deepEqual(plain(top.collection.toArray), [{ n: 2 }])
})

test('live() needs a query or a name', (t) => {
  const { tailwater } = start(t)
  assert.throws(() => tailwater.live({}), QueryError)
  assert.throws(() => tailwater.live({ query: (q) => q.from({ f: flights }).fn.where(() => true) }), QueryError)
})
