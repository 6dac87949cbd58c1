// What runs in the page; `say`, `fail`, `press` and `done` are Node's.

import { createCollection, createLiveQueryCollection, coalesce } from '@tanstack/db'
import { createStateSchema, createStreamDB } from '@durable-streams/state/db'
import { createTailwater, remoteCollection } from '@tailwater/client'
import { bag, rowsOf, States } from '/rows.mjs'

const { url, name, source, type, checks } = Object.fromEntries(new URLSearchParams(location.search))
const pause = () => new Promise((resolve) => setTimeout(resolve, 10))

async function until(what, ask) {
  const end = Date.now() + 60_000
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > end) await window.fail(what, { waited: '60 s' })
    await pause()
  }
}

try {
  for (const live of ['sse', 'long-poll']) await streamDB(live)
  await optimistic()
  await window.done()
} catch (error) {
  await window.fail('no errors in the page', { error: error.stack })
}

/** A StreamDB on the result, its rows in the page's table, equal to `/rows`. */
async function streamDB(live) {
  const any = { '~standard': { version: 1, vendor: 'none', validate: (value) => ({ value }) } }
  const states = new States()
  let epoch
  const db = createStreamDB({
    streamOptions: { url: `${url}/v1/query/${name}`, contentType: 'application/json', warnOnHttp: false },
    state: createStateSchema({ rows: { schema: any, type: name, primaryKey: '__key' } }),
    live,
    onEvent: ({ headers }) => (epoch = headers.epoch),
    onBatch: () => queueMicrotask(() => states.keep(epoch, shown())),
  })
  const table = document.querySelector('#rows')
  const show = () => {
    const lines = db.collections.rows.toArray.map(({ __key, _seq, ...row }) => {
      const line = document.createElement('tr')
      line.dataset.key = __key
      line.dataset.value = JSON.stringify(Object.fromEntries(Object.entries(row).filter(([field]) => !field.startsWith('$'))))
      line.textContent = line.dataset.value
      return line
    })
    table.replaceChildren(...lines)
  }
  const shown = () => bag([...table.rows].map(({ dataset }) => ({ key: dataset.key, value: JSON.parse(dataset.value) })))
  db.collections.rows.subscribeChanges(show)
  await db.preload()
  for (let equal = 0, last; equal < checks || states.wrong; ) {
    const server = await until('the table is what the server has', async () => {
      const server = await rowsOf(url, name)
      if (!server || server.epoch === last) return
      const exactly = states.equal(server.epoch, bag(server.rows))
      if (exactly === false) await window.fail('equal at the same epoch', { live, ...states.wrong })
      return (exactly || shown() === bag(server.rows)) && server
    })
    last = server.epoch
    equal++
    await window.say('table', { live, epoch: server.epoch, rows: server.rows.length })
  }
  db.close()
}

/** A result of the server and optimistic rows in one list, which is pressed into. */
async function optimistic() {
  const tailwater = createTailwater({ url })
  const events = remoteCollection(type)
  const top = tailwater.live({
    source,
    query: (q) =>
      q
        .from({ e: events })
        .orderBy(({ e }) => e.n, { direction: 'desc', stringSort: 'lexical' })
        .limit(5)
        .select(({ e }) => ({ id: e.id, n: e.n })),
  })
  await top.ready()

  let answered
  const drafts = createCollection({
    id: 'drafts',
    getKey: ({ id }) => id,
    sync: { sync: ({ markReady }) => markReady() },
    // A draft is there until the server's result has it.
    onInsert: async ({ transaction }) => {
      await new Promise((resolve) => (answered = resolve))
      const append = transaction.mutations.map(({ modified: value }) => ({ type, key: value.id, value, headers: { operation: 'insert' } }))
      await send(append)
      await until('the server has the draft', () => append.every(({ key }) => top.rows.some(({ id }) => id === key)))
    },
  })
  const list = createLiveQueryCollection({
    startSync: true,
    query: (q) =>
      q
        .unionAll({ row: top.collection, draft: drafts })
        .select(({ row, draft }) => ({ id: coalesce(row.id, draft.id), n: coalesce(row.n, draft.n), draft: draft.id })),
  })
  const element = document.querySelector('#list')
  const ids = []
  list.subscribeChanges(() => {
    const rows = list.toArray.toSorted((a, b) => b.n - a.n)
    ids.push(rows.map(({ id }) => id))
    element.replaceChildren(...rows.map(({ id, draft }) => {
      const item = document.createElement('li')
      item.textContent = draft ? `${id} …` : id
      return item
    }))
  }, { includeInitialState: true })
  const texts = () => [...element.children].map(({ textContent }) => textContent)

  const id = `page-${crypto.randomUUID()}`
  document.querySelector('#add').addEventListener('submit', (event) => {
    event.preventDefault()
    drafts.insert({ id, n: 1_000_000, kind: 'page', text: 'of the page' })
    // In the same turn: nothing was sent yet.
    if (texts()[0] !== `${id} …` || top.rows.some((row) => row.id === id)) window.fail('a draft is in the list at once', { texts: texts() })
  })
  await window.press('#add button')
  await until('the draft is in the list', () => texts()[0] === `${id} …`)
  await window.say('draft', { list: texts() })
  const from = ids.length
  answered()
  await until('the row of the server is in the list', () => texts()[0] === id && drafts.size === 0)
  if (ids.slice(from).some((list) => !list.includes(id))) await window.fail('the row is never out of the list', { ids: ids.slice(from) })
  await window.say('row', { list: texts() })

  await send([{ type, key: id, headers: { operation: 'delete' } }])
  await until('a deleted row leaves the list', () => !texts().includes(id))
  for (let equal = 0; equal < checks; equal++) {
    await until('the list is what the server has', async () => {
      const server = await rowsOf(url, top.name)
      return server?.epoch === top.epoch && JSON.stringify(server.rows.map(({ value }) => value.id)) === JSON.stringify(top.rows.map(({ id }) => id))
    })
    await pause()
  }
  await window.say('list', { epoch: top.epoch, list: texts() })
  tailwater.close()
}

async function send(events) {
  const response = await fetch(`${url}/v1/stream/${source}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(events),
  })
  if (!response.ok) await window.fail('the stream takes events', { status: response.status, text: await response.text() })
}
