// Random schemas, rows and histories. Domains are small, so that joins and groups hit and keys
// come back.

/** The values of a column's kind. Fractions are exact in binary: sums of them are exact. */
export const VALUES = {
  num: [0, 1, 1, 2, 2, 3, 4, -1, 5, 0.5, 1.5, -0.75],
  str: ['x', 'x', 'y', 'y', 'z', 'X', 'é', '', '10', '9', '1', '2', 'straße', 'a%b'],
  bool: [true, false],
  wild: ['0x10', '0b11', 'Infinity', 1e21, 1e-7, -1e-7, 0.1, 123456.789, 9007199254740991, -9007199254740991, 1e300, ' 12 ', '1e3', '-', '+5', '.5', '1_0', '\n', true, false, 7],
  time: [0, 1, -1, 1.5, 1709210096789, '2024-02-29T12:34:56.789Z', '2024-02-29T12:34:56+02:00', '2024-03-01T00:30:00', '2024-12-31', 'x', '', true],
  arr: [[], [1], [1, 2], ['x'], ['x', 'y'], [2, 'x', 1]],
  obj: [{}, { p: 1 }, { p: 2, q: 'x' }, { p: null, q: 'y' }, { q: 'x' }, { p: 2, q: 'x', r: { s: 1 } }, { r: { s: null } }],
}

/** What stands inside an object column. */
export const INSIDE = { p: 'num', q: 'str' }

const KEYS = ['1', '2', '3', '10', 'a', 'b', 'é']

const COLUMNS = [['n', 'num'], ['m', 'num'], ['g', 'str'], ['s', 'str'], ['link', 'key'], ['flag', 'bool'], ['t', 'time'], ['w', 'wild'], ['F0', 'num'], ['tags', 'arr'], ['o', 'obj']]

/** Collections by name, with the kinds of their columns. `id` is the key. */
export function schema(random) {
  const names = ['users', 'posts', 'votes'].slice(0, random.between(2, 3))
  const columns = () => Object.fromEntries(COLUMNS.filter(() => random.chance(75)))
  return Object.fromEntries(names.map(name => [name, { id: 'key', ...columns() }]))
}

export function value(random, kind) {
  if (kind === 'key') return random.pick(KEYS)
  return random.pick(VALUES[kind])
}

function newRow(random, columns, id) {
  const row = { id }
  for (const [name, kind] of Object.entries(columns)) {
    if (name === 'id') continue
    const fate = random.below(100)
    if (fate < 9) row[name] = null
    else if (fate < 18) continue
    else row[name] = value(random, kind)
  }
  return row
}

/** Batches of messages about the collections. */
export function history(random, collections) {
  const state = Object.fromEntries(Object.keys(collections).map(name => [name, new Map()]))
  const names = Object.keys(collections)
  const message = (type, key, operation, value) => {
    if (operation === 'delete') state[type].delete(key)
    else state[type].set(key, value)
    return { type, key, ...(value && { value }), headers: { operation } }
  }
  const put = (type, operation) => {
    const key = random.pick(KEYS)
    const known = state[type].has(key)
    return message(type, key, operation ?? (known ? 'update' : 'insert'), newRow(random, collections[type], key))
  }
  const change = type => {
    const known = [...state[type].keys()]
    if (known.length === 0) return [put(type)]
    const key = random.pick(known)
    const fresh = newRow(random, collections[type], key)
    switch (random.below(8)) {
      case 0:
      case 1:
        return [message(type, key, 'delete')]
      case 2:
        return [message(type, key, 'delete'), message(type, key, 'insert', fresh)]
      case 3:
        return [message(type, key, 'upsert', fresh)]
      case 4:
        return [put(type)]
    }
    // One column changes, or goes.
    const column = random.pick(Object.keys(collections[type]))
    const next = { ...state[type].get(key) }
    if (column in fresh) next[column] = fresh[column]
    else delete next[column]
    return [message(type, key, 'update', next)]
  }
  const first = names.flatMap(type => random.some(random.between(2, 7), () => put(type)))
  const later = random.some(random.between(2, 5), () => random.some(random.between(1, 4), () => change(random.pick(names))).flat())
  return [first, ...later]
}
