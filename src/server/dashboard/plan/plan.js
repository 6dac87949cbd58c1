// The page of a query's plan: its picture with figures that go on, what was moved, and the query as it is written.

import { getJson, Refused } from '../api.js'
import { byId, el, setText } from '../dom.js'
import { words } from '../format.js'
import { Picture } from './picture.js'
import { detailsOf, nameOf } from './words.js'

/** Each look takes so long, and shows what was done a second meanwhile. */
const SECONDS = 1
const AGAIN = 2000

export class PlanView {
  #abort = null
  /** The notes and the query that are shown, as text. */
  #told = null

  async open(name) {
    this.close()
    const abort = (this.#abort = new AbortController())
    const picture = new Picture()
    byId('plan-title').textContent = name === undefined ? 'Plan' : words(name)
    byId('plan-picture').replaceChildren(picture.element)
    this.#told = null
    byId('plan-notes').replaceChildren()
    byId('plan-written').replaceChildren()
    setText(byId('plan-says'), '')
    byId('plan-title').focus({ preventScroll: true })
    if (name === undefined) return
    const path = `v1/query/${encodeURIComponent(name)}/explain?analyze=true&seconds=`
    // The first look is short, so that there is something to see.
    for (let seconds = 0.2; !abort.signal.aborted; seconds = SECONDS) {
      const wait = await this.#look(`${path}${seconds}`, picture, abort.signal)
      if (wait > 0) await new Promise(resolve => setTimeout(resolve, wait))
    }
  }

  close() {
    this.#abort?.abort()
    this.#abort = null
  }

  // One look; how long to wait before the next one.
  async #look(path, picture, signal) {
    try {
      const { plan, notes, written } = await getJson(path, { signal })
      if (signal.aborted) return 0
      picture.paint(plan)
      this.#lists(notes, written)
      setText(byId('plan-says'), '')
      // A hidden page looks at nothing.
      return document.hidden ? AGAIN : 0
    } catch (error) {
      if (signal.aborted) return 0
      const says = error instanceof Refused ? error.message : 'The server does not answer.'
      setText(byId('plan-says'), says)
      return AGAIN
    }
  }

  #lists(notes, written) {
    const told = JSON.stringify([notes, written])
    if (this.#told === told) return
    // The result is in the middle of what is too wide to be seen at once.
    const region = byId('plan-picture')
    if (this.#told === null) region.scrollLeft = (region.scrollWidth - region.clientWidth) / 2
    this.#told = told
    byId('plan-notes').replaceChildren(...notes.map(note => el('li', { text: note })))
    byId('plan-written').replaceChildren(tree(written))
  }
}

/** A plan as nested lists. */
function tree(step) {
  const details = detailsOf(step).map(({ name, text }) => `${name} ${text}`)
  const line = el('div', {}, el('b', { text: step.clause || nameOf(step) }), el('span', { text: ` ${nameOf(step)} ${details.join('; ')}` }))
  return el('li', {}, line, step.inputs.length ? el('ul', {}, ...step.inputs.map(tree)) : null)
}
