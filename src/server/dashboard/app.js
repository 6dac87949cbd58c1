// The page: asks for the list of queries, follows their results, paints their panels.

import { getJson, Refused } from './api.js'
import { Following } from './following.js'
import { Frame } from './frame.js'
import { closeMenus } from './menu.js'
import { Replay } from './replay.js'
import { Latency, Meter } from './stats.js'
import { worst } from './status.js'
import { Editor } from './editor/editor.js'
import { PlanView } from './plan/plan.js'
import { Top } from './top.js'
import { textOf } from './editor/source.js'
import { views } from './views.js'
import { Wall } from './wall.js'

const POLL = 2000
const POLL_AWAY = 1000
const TIMEOUT = 3000
const FIGURES = 500
/** The layout is read again with every so many polls, so that an edited file shows. */
const LAYOUT_EVERY = 5

const meter = new Meter()
const latency = new Latency()

let list = { queries: [], broken: [] }
let layout = null
/** When the server answered last, and what it said if it refused since; null as long as it answers. */
let inTouch = Date.now()
let away = { state: 'connecting', since: Date.now() }

const frame = new Frame(() => {
  for (const panel of [...wall.panels, ...editor.panels]) panel.paint(Date.now(), frame.paused)
  latency.painted(Date.now())
})

const wall = new Wall({ request: () => frame.now(), moved: sync })

const following = new Following({
  changed(changes) {
    const at = performance.now()
    for (const panel of wall.panels) if (changes.has(panel.name)) panel.changed(changes.get(panel.name), at)
    for (const count of changes.values()) meter.add(count, at)
    inTouch = Date.now()
    frame.request()
  },
  arrived(at, names) {
    if (!frame.running) return
    latency.arrived(at)
    for (const panel of wall.panels) if (names.includes(panel.name)) panel.arrived(at)
  },
  moved() {
    figures()
    pollNow()
  },
})

const top = new Top({
  frame,
  searched(text) {
    wall.search = text
    frame.now()
  },
  recoloured() {
    for (const panel of wall.panels) panel.recolour()
    frame.now()
  },
  paused(isPaused) {
    forget()
    for (const panel of wall.panels) panel.freeze(isPaused)
  },
})

const editor = new Editor({
  ask: () => frame.now(),
  list: () => list.queries,
  canSave: () => layout?.folder === true,
  textOf,
  saved: pollNow,
})

const replay = new Replay(() => {
  for (const panel of wall.panels) panel.renew()
  frame.now()
})

function forget() {
  latency.forget()
  for (const panel of wall.panels) panel.latency.forget()
}

function sync() {
  following.sync(wall.shown(list.queries, layout))
  wall.sync(list, layout)
  for (const panel of wall.panels) panel.result = following.results.get(panel.name)
  figures()
  frame.request()
}

let wake = () => {}
let asked = 0

// Not more than once a second, whatever happens.
function pollNow() {
  setTimeout(wake, Math.max(0, asked + POLL_AWAY - performance.now()))
}

async function poll() {
  for (let turn = 0; ; turn++) {
    asked = performance.now()
    try {
      if (layout === null || turn % LAYOUT_EVERY === 0) await readLayout()
      list = await getJson('v1/query', { signal: AbortSignal.timeout(TIMEOUT) })
      inTouch = Date.now()
      if (away?.state === 'stale') following.kick()
      away = null
      sync()
    } catch (error) {
      if (error instanceof Refused) away = { state: 'error', since: inTouch, text: error.message }
      else away = { state: layout ? 'stale' : 'connecting', since: inTouch }
      figures()
    }
    await new Promise(resolve => {
      const timer = setTimeout(resolve, away ? POLL_AWAY : POLL)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

async function readLayout() {
  layout = await getJson('v1/dashboard', { signal: AbortSignal.timeout(TIMEOUT) })
  top.title = layout.title || 'Tailwater'
  if (layout.demo) await replay.start()
}

// What the reader should know of a query: the connection's state comes before the query's.
function statusOf({ source, status }) {
  if (away) return away
  const since = following.lostSince(source)
  return since === null || status.state === 'error' ? status : { state: 'stale', since }
}

function figures() {
  const at = performance.now()
  editor.figures(at)
  const entries = new Map(list.queries.map(entry => [entry.name, entry]))
  let rows = 0
  for (const result of following.results.values()) rows += result.rows.length
  for (const panel of wall.panels) {
    const entry = entries.get(panel.name)
    if (entry) panel.figures(statusOf(entry), noteOf(entry), at)
  }
  const statuses = list.queries.map(statusOf)
  const status = away ?? (statuses.length ? worst(statuses) : { state: 'live' })
  const same = statuses.filter(({ state }) => state === status.state).length
  top.show(
    {
      status: away || same === statuses.length ? status : { ...status, part: `${same} of ${statuses.length}` },
      queries: list.queries.length,
      rows,
      perSecond: meter.perSecond(at),
      late: latency.median(),
    },
    at,
  )
}

function noteOf({ status, fileError }) {
  if (status.error) return status.error
  return fileError && `The file was changed and does not work, so the query goes on as it was: ${fileError}`
}

document.addEventListener('visibilitychange', () => document.hidden && forget())
setInterval(() => document.hidden || figures(), FIGURES)
closeMenus()
views({ editor, plan: new PlanView() }, () => frame.now())
poll()
