// Requests to the server, and its refusals as errors.

import { messageOf, TailwaterError } from './errors.js'

export interface Connection {
  /** The server's address, such as `http://127.0.0.1:4437`. */
  url: string | URL
  /** A bearer token, or a function that gives one for each request. */
  token?: string | (() => string | Promise<string>) | undefined
  /** Instead of the global `fetch`. */
  fetch?: typeof fetch | undefined
}

/** Sends a request; an answer that is no success is thrown as TailwaterError. */
export async function request(connection: Connection, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  const token = typeof connection.token === 'function' ? await connection.token() : connection.token
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  const base = String(connection.url).replace(/\/+$/, '')
  const send = connection.fetch ?? fetch
  let response: Response
  try {
    response = await send(base + path, { ...init, headers, cache: 'no-store' })
  } catch (cause) {
    throw unreachable(base, cause)
  }
  if (!response.ok) throw await refusal(response)
  return response
}

/** There was no answer, or not all of it. */
export function unreachable(place: string, cause: unknown): TailwaterError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? `: ${cause.cause.message}` : ''
  return new TailwaterError(`no answer from ${place}: ${messageOf(cause)}${inner}`, { cause })
}

async function refusal(response: Response): Promise<TailwaterError> {
  const text = await response.text().catch(() => '')
  let problem: { code?: string; title?: string; detail?: string; hint?: string } = {}
  try {
    problem = JSON.parse(text) ?? {}
  } catch {
    // A proxy's page, or nothing.
  }
  const said = problem.detail ?? problem.title ?? (text.slice(0, 200) || response.statusText)
  const after = Number(response.headers.get('retry-after') ?? NaN)
  return new TailwaterError(`${response.status}: ${said}${problem.hint ? ` (${problem.hint})` : ''}`, {
    status: response.status,
    ...(problem.code !== undefined && { code: problem.code }),
    ...(problem.hint !== undefined && { hint: problem.hint }),
    ...(Number.isFinite(after) && { retryAfter: after }),
  })
}
