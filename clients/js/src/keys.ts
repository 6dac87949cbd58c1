// The order of row keys, as the server has it: part by part.

/** Compares keys: JSON arrays by their elements, all others as text, by code point. */
export function compareKeys(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)]
  if (!left || !right) return compareText(a, b)
  return compare(left, right)
}

function parts(key: string): unknown[] | undefined {
  if (!key.startsWith('[')) return undefined
  try {
    const value: unknown = JSON.parse(key)
    return Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The order of all JSON values: null, booleans, numbers, text, arrays, objects. */
function compare(a: unknown, b: unknown): number {
  const byType = rank(a) - rank(b)
  if (byType !== 0) return byType
  if (typeof a === 'string') return compareKeys(a, b as string)
  if (typeof a === 'number' || typeof a === 'boolean') return Number(a) - Number(b)
  if (Array.isArray(a)) {
    const other = b as unknown[]
    for (let i = 0; i < Math.min(a.length, other.length); i++) {
      const byItem = compare(a[i], other[i])
      if (byItem !== 0) return byItem
    }
    return a.length - other.length
  }
  return compareText(JSON.stringify(a), JSON.stringify(b))
}

function rank(value: unknown): number {
  if (value === null) return 0
  if (Array.isArray(value)) return 4
  return { boolean: 1, number: 2, string: 3 }[typeof value as string] ?? 5
}

/** By code point; JavaScript's own order is by UTF-16 unit, and differs beyond U+FFFF. */
function compareText(a: string, b: string): number {
  let i = 0
  while (i < a.length && a[i] === b[i]) i++
  if (i >= a.length || i >= b.length) return a.length - b.length
  const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)]
  const [first, second] = [isSurrogate(left), isSurrogate(right)]
  return first === second ? left - right : first ? 1 : -1
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}
