// The result of a query that is tried out: it runs as long as it is looked at.

import { address, postJson, tokenHeader } from '../api.js'
import { Following } from '../following.js'
import { Panel } from '../panel.js'

const VIEW = { title: 'Result' }

export class Trial {
  #following
  #entry
  #ask

  /** `ask` asks for a paint; `gone` is called when the server dropped the query. */
  constructor(entry, { ask, gone }) {
    this.#entry = entry
    this.#ask = ask
    this.panel = new Panel(entry, { view: VIEW, width: 12 }, ask)
    this.#following = new Following({
      changed: changes => {
        for (const count of changes.values()) this.panel.changed(count, performance.now())
        ask()
      },
      arrived: at => this.panel.arrived(at),
      moved: () => this.#following.isOver(entry.source) && gone(),
    })
    // It may still be catching up; then the server answers when it is there.
    this.#following.sync([{ ...entry, status: { state: 'live' } }])
    this.panel.result = this.#following.results.get(entry.name)
  }

  get name() {
    return this.#entry.name
  }

  figures(now) {
    const since = this.#following.lostSince(this.#entry.source)
    this.panel.figures(since === null ? { state: 'live' } : { state: 'stale', since }, null, now)
  }

  /** Ends it, here and at the server. */
  end() {
    this.#following.sync([])
    this.panel.destroy()
    // The page may be about to go.
    const options = { method: 'DELETE', keepalive: true, headers: tokenHeader() }
    fetch(address(`v1/query/${this.name}`), options).catch(() => {})
    this.#ask()
  }
}

/** Runs a query's text. */
export const tryOut = async (text, listener) => new Trial(await postJson('v1/trial', { text }), listener)
