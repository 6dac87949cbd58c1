// Statements answered by DuckDB, for comparison with Tailwater: see README.md.
//
// Each line of standard input is `{"sql":…,"batches":…}`, perhaps with `"tables":{NAME:{COLUMN:TYPE}}`; the
// answer is one line `{"snapshots"}` with the result rows, as lists of values, after each batch, or `{"skip"}`.

import { createInterface } from 'node:readline'
import { DuckDBInstance } from '@duckdb/node-api'

const COLUMNS = { i: 'BIGINT', j: 'BIGINT', x: 'DOUBLE', s: 'VARCHAR', p: 'BOOLEAN', day: 'DATE', tm: 'TIMESTAMP' }
const TABLES = { one: COLUMNS, two: COLUMNS, three: COLUMNS }

const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
const connection = await instance.connect()
// As in PostgreSQL.
await connection.run("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")

const create = (tables) => Object.entries(tables).map(([table, types]) => {
  const columns = Object.entries(types).map(([column, type]) => `${column} ${type}`)
  return `CREATE OR REPLACE TABLE ${table} (_key VARCHAR, ${columns.join(', ')});`
}).join('\n')

function literal(value, type) {
  if (value === null || value === undefined) return 'NULL'
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'::${type}`
  return `${value}::${type}`
}

/** The statements that do to the tables what a batch of messages does to the collections. */
function apply(messages, tables) {
  const last = new Map(messages.map((m) => [`${m.type} ${m.key}`, m]))
  const statements = []
  for (const m of last.values()) {
    statements.push(`DELETE FROM ${m.type} WHERE _key = ${literal(m.key, 'VARCHAR')};`)
    if (m.headers.operation === 'delete') continue
    const values = Object.entries(tables[m.type]).map(([column, type]) => literal(m.value[column], type))
    statements.push(`INSERT INTO ${m.type} VALUES (${[literal(m.key, 'VARCHAR'), ...values].join(', ')});`)
  }
  return statements.join('\n')
}

/** A date as text, as ours are. */
function plain(value) {
  return value instanceof Date ? value.toISOString().replace('T00:00:00.000Z', '') : value
}

async function answer({ sql, batches, tables = TABLES }) {
  try {
    // Without, the plan is the query as it stands: less that may be wrong, and faster over so few rows. But
    // joins of many tables need their conditions.
    await connection.run(`PRAGMA ${tables === TABLES ? 'disable' : 'enable'}_optimizer`)
    await connection.run(create(tables))
    const snapshots = []
    for (const batch of batches) {
      if (batch.length > 0) await connection.run(apply(batch, tables))
      const reader = await connection.runAndReadAll(sql)
      snapshots.push(reader.getRowsJS().map((row) => row.map(plain)))
    }
    return { snapshots }
  } catch (error) {
    return { skip: `${error}` }
  }
}

const json = (value) => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v))

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${json(await answer(JSON.parse(line)))}\n`)
}
process.exit(0)
