// The package in clients/js: queries written with TanStack's builder run on the server, and their live results must be
// what `/rows` says, at the same epoch and in order, through all that happens.
//
//     node serve/live.mjs URL STREAM TYPE sse|long-poll|auto [--checks N]
//
// Ends after N checks of each query. Something else makes changes meanwhile (drive.mjs with the same STREAM and TYPE).

import { build, folder } from './build.mjs'
import { rowsOf, States, text } from './rows.mjs'
import { fail, parameters, pause, say, until } from './say.mjs'

const [url, source, type, live, { checks }] = parameters('live.mjs URL STREAM TYPE sse|long-poll|auto [--checks N]', 4, { checks: 20 })
build()
// The one copy of @tanstack/db that the package uses.
const { count, createCollection, createLiveQueryCollection, eq, gt, localOnlyCollectionOptions, sum } = await import(
  `${folder}node_modules/@tanstack/db/dist/esm/index.js`
)
const { createTailwater, remoteCollection } = await import(`${folder}dist/index.js`)

const tailwater = createTailwater({ url, live })
const events = remoteCollection(type)
const queries = {
  top: (q) =>
    q
      .from({ e: events })
      .where(({ e }) => gt(e.n, 5))
      .orderBy(({ e }) => e.n, { direction: 'desc', stringSort: 'lexical' })
      .limit(7)
      .select(({ e }) => ({ id: e.id, n: e.n, text: e.text })),
  kinds: (q) =>
    q
      .from({ e: events })
      .groupBy(({ e }) => e.kind)
      .select(({ e }) => ({ kind: e.kind, events: count(e.id), total: sum(e.n) })),
  pairs: (q) =>
    q
      .from({ e: events })
      .join({ other: events }, ({ e, other }) => eq(e.n, other.n), 'inner')
      .select(({ e, other }) => ({ one: e.id, other: other.id })),
}

const results = Object.entries(queries).map(([what, query]) => {
  const result = tailwater.live({ query, source })
  const states = new States()
  const form = () => text(result.keys.map((key, i) => ({ key, value: result.rows[i] })))
  let epoch = -1
  result.subscribe(() => {
    if (result.status !== 'live' || result.epoch < epoch) states.clear()
    epoch = result.epoch
    if (result.status === 'live') states.keep(result.epoch, form())
    else say(result.status, { what, error: result.error })
    if (result.status === 'error') fail('no error', { error: result.error })
  })
  return { what, result, states, form, equal: 0, last: undefined, reached: Date.now() }
})

// A local live query that joins a result with optimistic rows.
const notes = createCollection(localOnlyCollectionOptions({ id: 'notes', getKey: ({ kind }) => kind }))
const [, kinds] = results
const noted = createLiveQueryCollection({
  startSync: true,
  gcTime: 0,
  query: (q) =>
    q
      .from({ k: kinds.result.collection })
      .join({ note: notes }, ({ k, note }) => eq(k.kind, note.kind), 'left')
      .select(({ k, note }) => ({ kind: k.kind, events: k.events, note: note?.text })),
})
for (const kind of ['a', 'c']) notes.insert({ kind, text: `of ${kind}` })

await Promise.all(results.map(({ result }) => result.ready()))
while (results.some(({ equal, states }) => equal < checks || states.wrong)) {
  for (const at of results) {
    const { what, result, states, form } = at
    const server = await rowsOf(url, result.name)
    if (!server) continue
    const expected = text(server.rows)
    const exactly = states.equal(server.epoch, expected)
    if (exactly === false) fail('equal at the same epoch', { what, ...states.wrong })
    if (server.epoch === at.last || (!exactly && form() !== expected)) continue
    at.last = server.epoch
    at.equal++
    at.reached = Date.now()
    say('equal', { what, epoch: server.epoch, rows: server.rows.length, exactly: exactly === true })
  }
  const collection = kinds.result.collection.toArray
  const joined = noted.toArray.map(({ kind, events, note }) => ({ kind, events, note })).sort((a, b) => (a.kind < b.kind ? -1 : 1))
  const wanted = collection.map(({ kind, events }) => ({ kind, events, note: kind === 'b' ? undefined : `of ${kind}` }))
  if (text(joined) !== text(wanted.sort((a, b) => (a.kind < b.kind ? -1 : 1)))) fail('the local join', { joined, wanted })
  for (const { what, result, form, reached } of results) {
    if (Date.now() - reached < 60_000) continue
    fail('equal after 60 s', { what, status: result.status, error: result.error, epoch: result.epoch, rows: form() })
  }
  await pause(10)
}

// Of a name of its own: equal queries are one on the server, and others may read them.
const own = tailwater.live({ name: `live-${process.pid}`, query: queries.kinds, source })
await own.ready()
await until('a dropped query closes its result', async () => {
  // Again if the server was not there, or started anew meanwhile.
  await tailwater.drop(own.name).catch(() => {})
  return own.status === 'closed'
})
if (results.some(({ result }) => result.status === 'closed')) fail('the others go on')
say('dropped', { others: results.map(({ result }) => result.status) })
say('done')
process.exit(0)
