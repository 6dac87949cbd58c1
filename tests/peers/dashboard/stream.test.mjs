// Following a result through all that happens to connections, with a server made of answers.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { Following } from '../../../src/server/dashboard/following.js'
import { OutOfStep } from '../../../src/server/dashboard/results.js'
import { events } from '../../../src/server/dashboard/sse.js'
import { Follower } from '../../../src/server/dashboard/stream.js'

const encoder = new TextEncoder()
const bodyOf = chunks =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })

test('server-sent events come out the same however their bytes are cut', async () => {
  const text = ': keep-alive\n\nevent: data\r\ndata:[{"key":"é🛫"}]\r\n\r\nevent: data\ndata: [1,\ndata: 2]\n\ndata:x\n\nevent: none\n\n'
  const bytes = encoder.encode(text)
  const expected = [
    { event: 'data', data: '[{"key":"é🛫"}]' },
    { event: 'data', data: '[1,\n2]' },
    { event: 'message', data: 'x' },
  ]
  for (let cut = 0; cut <= bytes.length; cut++) {
    const found = []
    for await (const event of events(bodyOf([bytes.slice(0, cut), bytes.slice(cut)]))) found.push(event)
    assert.deepEqual(found, expected, `cut at ${cut}`)
  }
})

/** Answers each request with the next function of the list, and keeps what was asked. */
function serve(answers) {
  const asked = []
  globalThis.fetch = async (address, { signal, headers } = {}) => {
    const url = new URL(address)
    asked.push({ offset: url.searchParams.get('offset'), names: url.searchParams.getAll('query'), live: url.searchParams.get('live'), headers })
    const answer = answers.shift()
    // When nothing is left the connection stays open.
    return answer ? answer() : new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
  return asked
}

const sse = (...parts) => () => new Response(bodyOf(parts.map(([event, data]) => encoder.encode(`event: ${event}\ndata:${JSON.stringify(data)}\n\n`))))
const data = items => ['data', items]
const control = (streamNextOffset, more = {}) => ['control', { streamNextOffset, upToDate: true, ...more }]
const problem = (status, headers) => () => new Response(JSON.stringify({ status, detail: `says ${status}` }), { status, headers })

/** Follows until `until` calls of listeners were seen; they are returned. */
function follow(answers, until, { live = true, messages = () => {} } = {}) {
  const asked = serve(answers)
  return new Promise(resolve => {
    const calls = []
    const call = (name, ...rest) => {
      calls.push([name, ...rest])
      if (calls.length < until) return
      follower.stop()
      resolve({ calls, asked })
    }
    const follower = new Follower({ names: ['a', 'b'], live }, {
      messages(items) {
        messages(items)
        call('messages', items)
      },
      arrived: at => call('arrived', at),
      connected: () => call('connected'),
      lost: error => call('lost', error.message),
      gone: () => call('gone'),
    })
    follower.start()
  })
}

const stored = new Map()
const fetched = globalThis.fetch

beforeEach(() => {
  globalThis.document = { baseURI: 'http://test/below/' }
  globalThis.sessionStorage = { getItem: name => stored.get(name) ?? null, setItem: (name, value) => stored.set(name, value) }
})

afterEach(() => {
  globalThis.fetch = fetched
  delete globalThis.document
  delete globalThis.sessionStorage
  stored.clear()
})

test('a connection that ends goes on after the last offset, with the token', async () => {
  stored.set('tailwater-token', 'secret')
  const answers = [sse(data([1]), control('5')), sse(data([2]), control('6', { arrivedAt: 7.5 }))]
  const { calls, asked } = await follow(answers, 5)
  assert.deepEqual(calls, [['connected'], ['messages', [1]], ['connected'], ['messages', [2]], ['arrived', 7.5]])
  assert.deepEqual(asked.map(({ offset, names, live }) => [offset, names, live]), [['-1', ['a', 'b'], 'sse'], ['5', ['a', 'b'], 'sse']])
  assert.equal(asked[0].headers.authorization, 'Bearer secret')
})

test('an answer cut in the middle is read again', async () => {
  const half = () => new Response(bodyOf([encoder.encode('event: data\ndata:[1]\n\nevent: control\ndata:{"streamNextOffset":"1"}\n\nevent: data\ndata:[2')]))
  const { calls, asked } = await follow([half, sse(data([2]), control('2'))], 4)
  assert.deepEqual(calls.filter(([name]) => name === 'messages'), [['messages', [1]], ['messages', [2]]])
  assert.deepEqual(asked.map(ask => ask.offset), ['-1', '1'])
})

for (const status of [410, 400]) {
  test(`after ${status} all is read again from the start, and the connection is not called lost`, async () => {
    const answers = [sse(data([1]), control('5')), problem(status), sse(data([2]), control('9'))]
    const { calls, asked } = await follow(answers, 4)
    assert.deepEqual(asked.map(ask => ask.offset), ['-1', '5', '-1'])
    assert.deepEqual(calls.at(-1), ['messages', [2]])
    assert.ok(!calls.some(([name]) => name === 'lost'))
  })
}

test('rows that do not fit are read again from the start', async () => {
  let isFirst = true
  const messages = () => {
    if (!isFirst) return
    isFirst = false
    throw new OutOfStep('row 1 is b, not a')
  }
  const { asked } = await follow([sse(data([1]), control('5')), sse(data([2]), control('6'))], 3, { messages })
  assert.deepEqual(asked.map(ask => ask.offset), ['-1', '-1'])
})

test('a server that is away is told once a try, and found again', async () => {
  const away = () => {
    throw new TypeError('connection refused')
  }
  const { calls, asked } = await follow([sse(data([1]), control('5')), away, away, sse(data([2]), control('6'))], 6)
  assert.deepEqual(calls.map(([name]) => name), ['connected', 'messages', 'lost', 'lost', 'connected', 'messages'])
  assert.deepEqual(asked.map(ask => ask.offset), ['-1', '5', '5', '5'])
})

test('not ready is no loss; what was dropped is over', async () => {
  const busy = problem(503, { 'retry-after': '0.01' })
  const { calls } = await follow([busy, sse(data([1]), control('5')), problem(404)], 3)
  assert.deepEqual(calls.map(([name]) => name), ['connected', 'messages', 'gone'])
  const closed = await follow([sse(data([1]), control('5', { streamClosed: true }))], 3)
  assert.deepEqual(closed.calls.at(-1), ['gone'])
})

test('without server-sent events the same is polled', async () => {
  const answer = (items, offset) => () => new Response(JSON.stringify(items), { headers: { 'stream-next-offset': offset } })
  const { calls, asked } = await follow([answer([1], '3'), answer([], '3'), answer([2], '4')], 5, { live: false })
  assert.deepEqual(calls.map(([name]) => name), ['connected', 'messages', 'connected', 'connected', 'messages'])
  assert.deepEqual(asked.map(({ offset, live }) => [offset, live]), [['-1', null], ['3', null], ['3', null]])
})

test('one connection a source, for what has a result; another list begins it anew', async () => {
  const asked = serve([])
  const following = new Following({ changed() {}, arrived() {}, moved() {} })
  const query = (name, source, state) => ({ name, source, ordered: true, status: { state } })
  const list = [query('b', 's', 'live'), query('a', 's', 'stale'), query('c', 's', 'loading'), query('d', 't', 'live'), query('e', 't', 'error')]
  following.sync(list)
  assert.deepEqual(asked.map(ask => ask.names), [['a', 'b'], ['d']])
  const before = following.results.get('a')
  list[0] = query('b', 's', 'error')
  following.sync(list)
  assert.equal(asked.length, 2)
  list[2] = query('c', 's', 'live')
  following.sync(list)
  assert.deepEqual(asked.slice(2).map(ask => [ask.names, ask.offset]), [[['a', 'b', 'c'], '-1']])
  assert.equal(following.results.get('a'), before)
  following.sync([])
  assert.equal(following.results.size, 0)
})
