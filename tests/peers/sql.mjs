// Statements run by DuckDB, for comparison with Tailwater: see README.md.
//
// Each line of standard input is `{"run":[SQL,…]}`; the answer is one line `{"results":[[row,…],…]}` with the rows
// of each statement, as lists of values, or `{"error"}`. What is made stays for the lines that follow.

import { createInterface } from 'node:readline'
import { DuckDBInstance } from '@duckdb/node-api'

const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
const connection = await instance.connect()
// As in PostgreSQL.
await connection.run("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")

const QUERY = /^\s*(--.*\n\s*)*(select|with)\b/i

/** A date as text, as ours are. */
function plain(value) {
  return value instanceof Date ? value.toISOString().replace('T00:00:00.000Z', '') : value
}

async function answer({ run }) {
  try {
    const results = []
    for (const sql of run) {
      const reader = await connection.runAndReadAll(sql)
      results.push(QUERY.test(sql) ? reader.getRowsJS().map((row) => row.map(plain)) : [])
    }
    return { results }
  } catch (error) {
    return { error: `${error}` }
  }
}

const json = (value) => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v))

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${json(await answer(JSON.parse(line)))}\n`)
}
process.exit(0)
