// States of queries and of the connection: a shape, a colour and a word each, so that none needs the others.

import { clock } from './format.js'
import { el, setText } from './dom.js'

/** Tone is the colour and shape; worse states have a higher rank. */
const STATES = {
  live: { tone: 'good', rank: 0, says: () => 'live' },
  ended: { tone: 'still', rank: 1, says: () => 'ended' },
  loading: { tone: 'busy', rank: 2, says: () => 'catching up' },
  connecting: { tone: 'busy', rank: 3, says: () => 'connecting' },
  stale: { tone: 'warn', rank: 4, says: ({ since }) => `stale since ${clock(since)}` },
  error: { tone: 'bad', rank: 5, says: () => 'error' },
}

const unknown = { tone: 'busy', rank: 3, says: ({ state }) => String(state) }
const known = status => STATES[status.state] ?? unknown

/** A status in words; `part` says of how many queries it is, `text` why. */
export function statusText(status) {
  const { part, text } = status
  return known(status).says(status) + (text ? `: ${text}` : '') + (part ? ` · ${part}` : '')
}

/** The status that needs attention most. */
export const worst = statuses => statuses.reduce((a, b) => (known(b).rank > known(a).rank ? b : a))

/** A badge that shows a status; call `show` when it changes. */
export function badge() {
  const word = el('span', { class: 'word' })
  const element = el('span', { class: 'badge' }, el('span', { class: 'mark', 'aria-hidden': 'true' }), word)
  const show = status => {
    element.dataset.tone = known(status).tone
    setText(word, statusText(status))
  }
  return { element, show }
}
