// TanStack's result rows and keys as ours are written.

/** A value without virtual properties (`$synced`, …), live collections as arrays. */
export function row(value) {
  if (Array.isArray(value)) return value.map(row)
  if (value === null || typeof value !== 'object') return value
  if (value.toArray !== undefined && value.subscribeChanges) return value.toArray.map(row)
  const entries = Object.entries(value).filter(([name, field]) => !name.startsWith('$') && field !== undefined)
  return Object.fromEntries(entries.map(([name, field]) => [name, row(field)]))
}

/**
 * The key's text as docs/queries.md has it; null where TanStack's key does not tell: of distinct
 * rows (a hash), and of groups by a missing value.
 */
export function textKey(ir, key) {
  const parts = keyParts(ir, key)
  return parts === undefined ? null : parts
}

function keyParts(ir, key) {
  if (ir.distinct) return undefined
  if (ir.groupBy?.length) {
    // Objects have numbers of their own, missing values none.
    if (String(key).includes('runtimeReference')) return undefined
    if (typeof key === 'number' && !Number.isFinite(key)) return JSON.stringify([{ $number: String(key) }])
    if (ir.groupBy.length === 1) return key === undefined ? undefined : JSON.stringify([key])
    return typeof key !== 'string' || key.startsWith('~') ? undefined : JSON.stringify(JSON.parse(key))
  }
  if (isGroup(ir)) return '[]'
  if (!ir.join?.length) return sourceKey(ir.from, key)
  // Pairs are nested to the left, and the inner ones are text: ["[\"a\",\"b\"]","c"].
  const keys = []
  for (const join of [...ir.join].reverse()) {
    const [left, right] = JSON.parse(key)
    keys.unshift(right === null ? null : sourceKey(join.from, right))
    key = left
    if (left === null) break
  }
  while (keys.length < ir.join.length) keys.unshift(null)
  keys.unshift(key === null ? null : sourceKey(ir.from, key))
  return keys.includes(undefined) ? undefined : JSON.stringify(keys)
}

function sourceKey(from, key) {
  switch (from.type) {
    case 'queryRef':
      return keyParts(from.query, key)
    case 'unionFrom': {
      const [alias, raw] = branchKey(key)
      const inner = sourceKey(from.sources.find(source => source.alias === alias), raw)
      return inner === undefined ? undefined : JSON.stringify([alias, inner])
    }
    case 'unionAll': {
      const [branch, raw] = branchKey(key)
      const inner = keyParts(from.queries[branch], raw)
      return inner === undefined ? undefined : JSON.stringify([Number(branch), inner])
    }
  }
  return String(key)
}

/** Of a union's key: `branch:type:key`. */
function branchKey(key) {
  const [, branch, type, text] = key.match(/^([^:]*):([^:]*):([^]*)$/)
  return [branch, type === 'string' ? text : type === 'undefined' ? undefined : JSON.parse(text)]
}

/** Whether a query aggregates without `groupBy`. */
export function isGroup(ir) {
  const aggregates = node =>
    node && typeof node === 'object' && node.type !== 'includesSubquery' &&
    (node.type === 'agg' || Object.values(node).some(aggregates))
  return !ir.groupBy?.length && Boolean(aggregates(ir.select))
}
