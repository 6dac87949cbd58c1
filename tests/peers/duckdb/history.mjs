// Random histories. Domains are small, so that joins and groups hit and keys come back.

import { COLUMNS, TABLES } from './schema.mjs'

const KEYS = ['1', '2', '3', '4', '5', '9', '10', '11', 'a', 'B', 'é', 'x,y']

// Both sides of 1970, of a leap day, of a year's end in the middle of a week; ends of months.
const DATES = ['1969-12-31T23:59:59.999Z', '1970-01-01', '2023-12-31T12:30:15.250Z', '2024-01-01', '2024-01-31T06:00Z',
  '2024-02-29T23:59:59Z', '2024-03-01', '2024-03-31T01:30Z', '2025-12-29T10:00Z'].map(Date.parse)

const VALUES = {
  i: [0, 0, 1, 1, 1, 2, 2, 3, 4, -1, -2],
  j: [0, 1, 1, 2, 2, 3, 5, -1, 10],
  x: [0, 1, 2, 0.25, 0.5, 0.5, 1.5, 2.25, -0.75, -1.5],
  s: ['', 'a', 'a', 'b', 'ab', 'B', 'Abc', ' a ', 'é', 'a%b', 'a_', '\\'],
  p: [true, true, false],
  d: DATES,
}

/** A constant of a type, of those that rows have. */
export function constant(random, type) {
  const columns = { int: ['i', 'j'], num: ['x', 'x', 'i'], str: ['s'], bool: ['p'] }[type]
  return random.pick(VALUES[random.pick(columns)])
}

/**
 * `absent` says how a row lacks a value: 'null', 'missing' or 'both'. Rows of `other` tables than
 * those of the query are not made.
 */
export function history(random, absent, tables = TABLES) {
  const rows = new Map(tables.map((table) => [table, new Set()]))
  const row = () => {
    const value = {}
    for (const column of Object.keys(COLUMNS)) {
      if (random.chance(0.2)) {
        if (absent === 'null' || (absent === 'both' && random.chance(0.5))) value[column] = null
      } else value[column] = random.pick(VALUES[column])
    }
    return value
  }
  const message = () => {
    const table = random.pick(tables)
    const live = rows.get(table)
    const known = live.size > 0 && random.chance(live.size / 12)
    const key = known ? random.pick([...live]) : random.pick(KEYS)
    // Operations that do not fit, such as an update of an unknown key, mean what they can.
    const operation = known ? random.pick(['update', 'update', 'delete', 'insert']) : random.pick(['insert', 'insert', 'insert', 'update', 'delete'])
    if (operation === 'delete') live.delete(key)
    else live.add(key)
    return { type: table, key, ...(operation === 'delete' ? {} : { value: row() }), headers: { operation } }
  }
  return random.list(3, 6, (n) => {
    const batch = random.list(1, n === 0 ? 8 * tables.length : 8, message)
    if (random.chance(0.06)) {
      const table = random.pick(tables)
      batch.push(...[...rows.get(table)].map((key) => ({ type: table, key, headers: { operation: 'delete' } })))
      rows.get(table).clear()
    }
    return batch
  })
}
