// The bar of `tailwater demo`: the replay's clock, how far the day is, its speed.

import { getJson, postJson, Refused } from './api.js'
import { byId, setText } from './dom.js'
import { count, dayAndTime, settings, timeOfDay } from './format.js'

const POLL = 1000
const TICK = 100
const HOUR = 3_600_000

export class Replay {
  #state = null
  #at = 0
  #bar = byId('replay')
  #clock = byId('replay-clock')
  #toggle = byId('replay-toggle')
  #speed = byId('replay-speed')
  #progress = byId('replay-progress')
  #events = byId('replay-events')

  /** `changed` is called when times have to be shown with another offset. */
  constructor(changed) {
    this.changed = changed
    this.#toggle.addEventListener('click', () => this.#tell({ paused: !this.#state.paused }))
    byId('replay-restart').addEventListener('click', () => this.#tell({ restart: true }))
    this.#speed.addEventListener('change', () => this.#tell({ speed: Number(this.#speed.value) }))
  }

  /** Shows the bar if this is a demo, the first time. */
  async start() {
    if (this.#state) return
    try {
      this.#take(await getJson('v1/demo'))
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return
    }
    this.#bar.hidden = false
    this.#hours()
    this.#poll()
    setInterval(() => this.#show(), TICK)
  }

  async #poll() {
    for (;;) {
      await new Promise(resolve => setTimeout(resolve, POLL))
      if (document.hidden) continue
      const asked = performance.now()
      try {
        const state = await getJson('v1/demo', { signal: AbortSignal.timeout(3000) })
        // What was pressed meanwhile is newer.
        if (asked > this.#at) this.#take(state)
      } catch {
        // The status of the page says that the server is away; the clock stops.
        this.#state = { ...this.#state, now: this.#now(), isLost: true }
      }
    }
  }

  async #tell(command) {
    try {
      this.#take(await postJson('v1/demo', command))
    } catch {
      // The next poll shows what holds.
    }
  }

  #take(state) {
    this.#state = state
    this.#at = performance.now()
    if (settings.utcOffsetMinutes !== state.utcOffsetMinutes) {
      settings.utcOffsetMinutes = state.utcOffsetMinutes
      this.changed()
    }
    this.#toggle.setAttribute('aria-label', state.paused ? 'Resume the replay' : 'Pause the replay')
    this.#toggle.title = `${this.#toggle.getAttribute('aria-label')} (r)`
    this.#toggle.classList.toggle('paused', state.paused)
    this.#speeds(state.speed)
    this.#show()
  }

  // A speed that is none of the list's joins it.
  #speeds(speed) {
    if (document.activeElement === this.#speed && this.#speed.value === String(speed)) return
    if (![...this.#speed.options].some(option => Number(option.value) === speed)) {
      this.#speed.add(new Option(`${speed}×`, speed))
    }
    this.#speed.value = String(speed)
  }

  // Between two polls the clock goes on as fast as the replay does.
  #now() {
    const { now, to, speed, paused, isLost } = this.#state
    if (now === null || paused || isLost) return now
    return Math.min(to, now + (performance.now() - this.#at) * speed)
  }

  #show() {
    const { from, to, events, total } = this.#state
    const at = this.#now()
    if (at === null) return
    setText(this.#clock, dayAndTime(at))
    const share = to > from ? Math.min(1, Math.max(0, (at - from) / (to - from))) : 0
    this.#progress.style.setProperty('--done', share)
    this.#progress.setAttribute('aria-valuenow', Math.round(share * 100))
    this.#progress.setAttribute('aria-valuetext', dayAndTime(at))
    setText(this.#events, `${count(events)} of ${count(total)} events`)
  }

  // Every third hour of the clock has a mark.
  #hours() {
    const { from, to } = this.#state
    const offset = (settings.utcOffsetMinutes ?? 0) * 60_000
    const step = (to - from) / HOUR > 48 ? 24 * HOUR : 3 * HOUR
    const marks = []
    for (let at = Math.ceil((from + offset) / step) * step - offset; at < to; at += step) {
      const mark = document.createElement('span')
      mark.textContent = timeOfDay(at)
      mark.style.left = `${((at - from) / (to - from)) * 100}%`
      marks.push(mark)
    }
    byId('replay-hours').replaceChildren(...marks)
  }
}
