// Results as the server tells them, and as messages make them.

/** `GET /v1/query/{name}/rows`; undefined while the server does not answer or is not ready. */
export async function rowsOf(url, name) {
  try {
    const response = await fetch(`${url}/v1/query/${name}/rows`)
    return response.ok ? await response.json() : undefined
  } catch {
    return undefined
  }
}

/** Text that is equal for equal values: fields sorted by name. */
export function text(value) {
  const sorted = (_, field) =>
    field && typeof field === 'object' && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field
  return JSON.stringify(value, sorted)
}

/** Rows without regard to their order. */
export function bag(rows) {
  return rows.map((row) => text(row)).sort().join('\n')
}

/** The rows of a query, made of its messages by the letter of the rules, without any haste. */
export class Result {
  rows = []
  epoch
  #snapshot

  /** Applies an answer: whole epochs. @throws Error if it does not fit */
  apply(items, name) {
    for (let i = 0; i < items.length; ) {
      const { type, headers } = items[i]
      if (type !== name) throw new Error(`a message of ${type}`)
      if (headers.control !== undefined) {
        if (headers.control === 'snapshot-start') this.#snapshot = []
        if (headers.control === 'snapshot-end') [this.rows, this.#snapshot] = [this.#snapshot, undefined]
        i++
        continue
      }
      let end = i
      while (end < items.length && !items[end].headers.control && items[end].headers.epoch === headers.epoch) end++
      const epoch = items.slice(i, end)
      i = end
      this.epoch = headers.epoch
      if (this.#snapshot) this.#snapshot.push(...epoch.map(({ key, value }) => ({ key, value })))
      else this.#step(epoch)
    }
    if (this.#snapshot) throw new Error('half a snapshot')
    const keys = new Set(this.rows.map(({ key }) => key))
    if (keys.size !== this.rows.length) throw new Error('a key twice')
  }

  #step(epoch) {
    const positions = epoch.some(({ headers }) => headers.index !== undefined || headers.previousIndex !== undefined)
    if (!positions) return this.#byKey(epoch)
    const removals = epoch.filter(({ headers }) => headers.operation !== 'insert')
    for (const { key, headers } of removals.sort((a, b) => b.headers.previousIndex - a.headers.previousIndex)) {
      const [row] = this.rows.splice(headers.previousIndex, 1)
      if (row?.key !== key) throw new Error(`epoch ${headers.epoch}: ${key} is not at ${headers.previousIndex}, but ${row?.key}`)
    }
    const placed = epoch.filter(({ headers }) => headers.operation !== 'delete')
    for (const { key, value, headers } of placed.sort((a, b) => a.headers.index - b.headers.index)) {
      if (headers.index > this.rows.length) throw new Error(`epoch ${headers.epoch}: no index ${headers.index}`)
      this.rows.splice(headers.index, 0, { key, value })
    }
  }

  #byKey(epoch) {
    const rows = new Map(this.rows.map(({ key, value }) => [key, value]))
    for (const { key, value, headers } of epoch) {
      if (rows.has(key) !== (headers.operation !== 'insert')) throw new Error(`epoch ${headers.epoch}: ${headers.operation} of ${key}`)
      if (headers.operation === 'delete') rows.delete(key)
      else rows.set(key, value)
    }
    this.rows = [...rows].map(([key, value]) => ({ key, value }))
  }
}

/**
 * What a reader had after which epoch, to be compared with `/rows`. Epochs are of one life of the server: a reader
 * that has not noticed a new one yet is given time to.
 */
export class States {
  #texts = new Map()
  #doubt

  keep(epoch, state) {
    if (epoch === undefined) return
    this.#texts.set(epoch, state)
    if (this.#texts.size > 1000) this.#texts.delete(this.#texts.keys().next().value)
  }

  /** The reader has begun again. */
  clear() {
    this.#texts.clear()
    this.#doubt = undefined
  }

  /** Whether the reader had this after the epoch; undefined if it is not known (yet). */
  equal(epoch, expected) {
    if (this.#doubt && Date.now() - this.#doubt.since > 10_000) return false
    const state = this.#texts.get(epoch)
    if (state === undefined) return undefined
    if (state === expected) return true
    this.#doubt ??= { since: Date.now(), epoch, state, expected }
    return undefined
  }

  /** What was not equal, unless the reader has begun again since. Who ends before this is settled has checked nothing. */
  get wrong() {
    return this.#doubt
  }
}
