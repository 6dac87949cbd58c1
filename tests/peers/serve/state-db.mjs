// `createStreamDB` of the unmodified @durable-streams/state on a query's result: its collection must be what
// `/rows` says, at the same epoch, through all that happens. When the stream is gone or closed, a new
// StreamDB is made, as an application would.
//
//     node serve/state-db.mjs URL NAME sse|long-poll|auto [--checks N]
//
// Ends after N checks, each at another epoch. Something else makes changes meanwhile (drive.mjs).

import { DurableStream } from '@durable-streams/client'
import { createStateSchema, createStreamDB } from '@durable-streams/state/db'
import { bag, rowsOf, States } from './rows.mjs'
import { fail, parameters, pause, say, until } from './say.mjs'

const [url, name, mode, { checks }] = parameters('state-db.mjs URL NAME sse|long-poll|auto [--checks N]', 3, { checks: 20 })
const live = mode === 'auto' ? true : mode

const any = { '~standard': { version: 1, vendor: 'none', validate: (value) => ({ value }) } }
const state = createStateSchema({ rows: { schema: any, type: name, primaryKey: '__key' } })

/** StreamDB keeps to itself when its stream ends; this tells. */
class Stream extends DurableStream {
  async stream(options) {
    const response = await super.stream(options)
    response.closed.then(() => this.onEnd('closed'), (error) => this.onEnd(error?.status ?? error?.code ?? error?.message))
    return response
  }
}

// What StreamDB says of a stream that is gone is expected here.
console.error = () => {}
console.warn = () => {}

const states = new States()
let db, epoch, ended

async function open() {
  db?.close()
  states.clear()
  epoch = undefined
  const stream = new Stream({ url: `${url}/v1/query/${name}`, contentType: 'application/json' })
  const mine = (db = createStreamDB({
    stream,
    state,
    live,
    onEvent: ({ headers }) => mine === db && (epoch = headers.epoch),
    // The batch is committed right after this call.
    onBatch: () => queueMicrotask(() => mine === db && states.keep(epoch, content())),
  }))
  ended = undefined
  stream.onEnd = (why) => mine === db && (ended ??= why ?? 'ended')
  await db.preload()
}

/** The collection's rows as `/rows` has them. */
function content() {
  const rows = [...db.collections.rows.entries()].map(([key, row]) => {
    const fields = Object.entries(row).filter(([field]) => field !== '__key' && field !== '_seq' && !field.startsWith('$'))
    return { key, value: Object.fromEntries(fields) }
  })
  return bag(rows)
}

let anew = 0
async function reopen(why) {
  anew++
  say('anew', { why })
  await until('the stream can be read again', () => open().then(() => true, (error) => void (why = error.message)), 60, () => ({ why }))
}

await reopen('start')
let equal = 0
let last
let reached = Date.now()
while (equal < checks || states.wrong) {
  if (ended) await reopen(ended)
  const server = await rowsOf(url, name)
  if (server) {
    const expected = bag(server.rows)
    const exactly = states.equal(server.epoch, expected)
    if (exactly === false) fail('equal at the same epoch', states.wrong)
    // Where there is no state of that very epoch, the rows have to become equal soon.
    if (server.epoch !== last && (exactly || content() === expected)) {
      last = server.epoch
      reached = Date.now()
      say('equal', { epoch: server.epoch, rows: server.rows.length, exactly: exactly === true })
      equal++
    }
  }
  if (Date.now() - reached > 60_000) fail('equal after 60 s', { server, content: content(), epoch, ended })
  await pause(10)
}
say('done', { equal, anew })
process.exit(0)
