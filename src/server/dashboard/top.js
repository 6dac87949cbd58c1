// The bar at the top: overall status and figures, pause, pace, search, theme.

import { byId, setText } from './dom.js'
import { showKeys } from './dialogs.js'
import { count, duration, rate } from './format.js'
import { keys } from './keys.js'
import { spark } from './spark.js'
import { badge, statusText } from './status.js'
import { themes } from './theme.js'

const PULSE = 60
const SECOND = 1000

export class Top {
  #badge = badge()
  #pulse = spark(PULSE)
  #pulsed = 0

  /** `frame` paints; `searched(text)` and `recoloured()` are called when the reader wants so, `paused(isPaused)` too. */
  constructor({ frame, searched, recoloured, paused }) {
    byId('status').append(this.#badge.element)
    byId('pulse').append(this.#pulse.element)
    const pause = byId('pause')
    pause.addEventListener('click', () => {
      frame.paused = !frame.paused
      pause.setAttribute('aria-pressed', frame.paused)
      setText(pause.lastElementChild, frame.paused ? 'Resume' : 'Pause')
      document.documentElement.toggleAttribute('data-paused', frame.paused)
      paused(frame.paused)
    })
    const pace = byId('pace')
    pace.addEventListener('change', () => (frame.interval = Number(pace.value)))
    frame.interval = Number(pace.value)
    const search = byId('search')
    search.addEventListener('input', () => searched(search.value))
    // A browser may have kept the text over a reload.
    if (search.value) searched(search.value)
    themes(byId('theme'), recoloured)
    byId('help').addEventListener('click', showKeys)
    keys(search)
  }

  set title(title) {
    setText(byId('title'), title)
  }

  /** `status` may carry `part`: how many of the queries it is about. */
  show({ status, queries, rows, perSecond, late }, now) {
    this.#badge.show(status)
    // A tab in the background says when something is wrong.
    const title = byId('title').textContent
    const called = status.state === 'live' ? title : `${statusText(status)} – ${title}`
    if (document.title !== called) document.title = called
    setText(byId('queries'), count(queries))
    setText(byId('rows'), count(rows))
    setText(byId('changes'), rate(perSecond))
    setText(byId('latency'), late === null ? '–' : duration(late))
    if (now - this.#pulsed < SECOND) return
    this.#pulsed = now
    this.#pulse.push(perSecond, 0)
  }
}
