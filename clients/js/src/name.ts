// Names of queries that were given none.

import type { Json } from './ir.js'

/** A name that equal queries share: two 32-bit FNV-1a hashes of the JSON text, with different seeds. */
export function nameOf(query: Json): string {
  const text = JSON.stringify(query)
  return `q-${hash(text, 0x811c9dc5)}${hash(text, 0x050c5d1f)}`
}

function hash(text: string, seed: number): string {
  let state = seed
  for (let i = 0; i < text.length; i++) {
    state = Math.imul(state ^ text.charCodeAt(i), 0x01000193)
  }
  // FNV's last bytes hardly reach the high bits; mixed, they do.
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35)
  return ((state ^ (state >>> 16)) >>> 0).toString(16).padStart(8, '0')
}
