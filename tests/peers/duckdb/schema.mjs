// The tables of all cases. A collection is a table with its key as `_key`; every column may be null.

export const COLUMNS = {
  i: 'int',
  j: 'int',
  x: 'num', // multiples of a quarter, so that arithmetic is exact
  s: 'str',
  p: 'bool',
  d: 'int', // a time in milliseconds since 1970
}

export const TABLES = ['one', 'two', 'three']

const SQL_TYPES = { int: 'BIGINT', num: 'DOUBLE', str: 'VARCHAR', bool: 'BOOLEAN' }

/** The statements that make a table, or empty it. */
export function createTable(name) {
  const columns = Object.entries(COLUMNS).map(([column, type]) => `${column} ${SQL_TYPES[type]}`)
  return `CREATE OR REPLACE TABLE ${name} (_key VARCHAR, ${columns.join(', ')});`
}

/** A constant in SQL. Missing is NULL, as null is. */
export function literal(value) {
  if (value === null || value === undefined) return 'NULL'
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`
  if (typeof value === 'boolean') return value ? 'TRUE' : 'FALSE'
  return `${value}::${Number.isInteger(value) ? 'BIGINT' : 'DOUBLE'}`
}

/** The statements that do to the tables what a batch of messages does to the collections. */
export function applyBatch(messages) {
  // The last message of a key decides: an update replaces the row or makes it, and so does an insert.
  const last = new Map(messages.map((m) => [`${m.type} ${m.key}`, m]))
  const statements = []
  for (const table of TABLES) {
    const changes = [...last.values()].filter((m) => m.type === table)
    if (changes.length === 0) continue
    const keys = changes.map((m) => literal(m.key))
    statements.push(`DELETE FROM ${table} WHERE _key IN (${keys.join(', ')});`)
    const rows = changes
      .filter((m) => m.headers.operation !== 'delete')
      .map((m) => `(${[m.key, ...Object.keys(COLUMNS).map((c) => m.value[c])].map(literal).join(', ')})`)
    if (rows.length > 0) statements.push(`INSERT INTO ${table} VALUES ${rows.join(', ')};`)
  }
  return statements.join('\n')
}
