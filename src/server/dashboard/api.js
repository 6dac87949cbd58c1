// Requests to the server: addresses beside the page's own, the token, and errors as sentences.

import { askToken } from './dialogs.js'

const STORED = 'tailwater-token'

/** Addresses are taken relative to the page, so that it works below any path of a proxy. */
export const address = path => new URL(path, document.baseURI).href

export const hasToken = () => sessionStorage.getItem(STORED) !== null

/** The header that carries the token, if there is one. */
export function tokenHeader() {
  const token = sessionStorage.getItem(STORED)
  return token === null ? {} : { authorization: `Bearer ${token}` }
}

/** The server said no. */
export class Refused extends Error {
  constructor(status, message, retryAfter) {
    super(message)
    this.status = status
    /** Milliseconds, if it said when to come back. */
    this.retryAfter = retryAfter
  }
}

let asking = null

/** A response that is fine; else throws Refused, or the browser's own error without a connection. */
export async function request(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(STORED)
    const headers = { ...options.headers, ...tokenHeader() }
    const response = await fetch(address(path), { cache: 'no-store', ...options, headers })
    if (response.ok) return response
    const refused = await refusal(response)
    if (response.status !== 401) throw refused
    // Another request may have been given a token while this one was on its way.
    if (sessionStorage.getItem(STORED) === token) await newToken(refused.message)
    options.signal?.throwIfAborted()
  }
}

export const getJson = async (path, options) => (await request(path, options)).json()

export const postJson = async (path, body) =>
  (await request(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })).json()

async function newToken(reason) {
  asking ??= askToken(reason).then(token => {
    sessionStorage.setItem(STORED, token)
    asking = null
  })
  await asking
}

async function refusal(response) {
  const seconds = Number(response.headers.get('retry-after'))
  const retryAfter = seconds > 0 ? seconds * 1000 : undefined
  let message = `the server answered ${response.status}`
  try {
    const { detail, title } = await response.json()
    message = detail ?? title ?? message
  } catch {
    // Not a problem in JSON: the status has to do.
  }
  return new Refused(response.status, message, retryAfter)
}
