// The unmodified @durable-streams/client on a query's result: the snapshot, batches of whole epochs, positions, and
// reading on from every offset that was given. All must come to what `/rows` says.
//
//     node serve/stream.mjs URL NAME [--checks N]
//
// Ends after N checks in each way of reading. Something else makes changes meanwhile (drive.mjs).

import { stream } from '@durable-streams/client'
import { bag, Result, rowsOf, States, text } from './rows.mjs'
import { fail, parameters, pause, say, until } from './say.mjs'

const [url, name, { checks }] = parameters('stream.mjs URL NAME [--checks N]', 2, { checks: 10 })
const place = `${url}/v1/query/${name}`
const { queries } = await (await fetch(`${url}/v1/query`)).json()
const { ordered } = queries.find((query) => query.name === name) ?? fail('the query is listed', { name })
const form = ordered ? text : bag

const apply = (result, items) => {
  try {
    result.apply(items, name)
  } catch (error) {
    fail('an answer fits', { error: error.message, items, rows: result.rows })
  }
}

/** What there is from an offset on, in one answer. */
async function read(offset) {
  const response = await stream({ url: place, offset, live: false, json: true })
  const items = await response.json()
  return { items, offset: response.offset, upToDate: response.upToDate }
}

// By hand: from each offset to the next, and anew from all offsets at the end.
const history = []
const result = new Result()
const states = new States()
let { items, offset } = await read('-1')
if (items[0]?.headers.control !== 'snapshot-start') fail('-1 begins with a snapshot', { items: items.slice(0, 2) })
apply(result, items)
say('snapshot', { rows: result.rows.length, offset })
for (let equal = 0, last; equal < checks || states.wrong; ) {
  const next = await until('something changes', async () => {
    const next = await read(offset)
    return next.items.length > 0 && next
  })
  history.push({ offset, rows: structuredClone(result.rows) })
  offset = next.offset
  apply(result, next.items)
  states.keep(result.epoch, form(result.rows))
  const server = await rowsOf(url, name)
  if (!server || server.epoch === last) continue
  const exactly = states.equal(server.epoch, form(server.rows))
  if (exactly === false) fail('catch-up is equal', states.wrong)
  if (!exactly) continue
  last = server.epoch
  equal++
  say('catch-up', { epoch: server.epoch, rows: server.rows.length })
}
const final = form(result.rows)
for (const { offset: from, rows } of history) {
  const again = new Result()
  again.rows = rows
  const rest = await stream({ url: place, offset: from, live: false, json: true })
  let items = await rest.json()
  // Not beyond where the first reading ended.
  items = items.filter(({ headers }) => headers.epoch <= result.epoch)
  apply(again, items)
  if (form(again.rows) !== final) fail('reading on from an offset', { from, again: again.rows, rows: result.rows })
}
say('resumed', { offsets: history.length })

for (const live of ['sse', 'long-poll']) {
  const result = new Result()
  const states = new States()
  const response = await stream({ url: place, offset: '-1', live, json: true })
  response.subscribeJson(async ({ items }) => {
    apply(result, items)
    states.keep(result.epoch, form(result.rows))
  })
  for (let equal = 0, last; equal < checks || states.wrong; ) {
    const server = await until(`${live}: the server's state is reached`, async () => {
      const server = await rowsOf(url, name)
      if (!server || (server.epoch === last && !states.wrong)) return
      const exactly = states.equal(server.epoch, form(server.rows))
      if (exactly === false) fail(`${live} is equal`, states.wrong)
      return exactly && server
    })
    last = server.epoch
    equal++
    say(live, { epoch: server.epoch, rows: server.rows.length })
    await pause(10)
  }
  response.cancel()
}

const gone = await fetch(`${place}?offset=no-such-offset`)
say('a wrong offset', { status: gone.status })
if (gone.status !== 400 && gone.status !== 410) fail('a wrong offset is refused', { status: gone.status })
say('done')
process.exit(0)
