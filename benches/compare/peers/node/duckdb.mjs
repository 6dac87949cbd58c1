// DuckDB in memory: rows are appended in chunks, changes are statements of one transaction, and after each step
// every query is run again and its columns are read. Queries are not prepared: a prepared one keeps a plan that was made
// for the rows of that time, and answers wrongly (1.5.6: rows missing, text garbled).

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBDataChunk, DuckDBInstance, JSToDuckDBValueConverter } from '@duckdb/node-api'
import { Engine, run } from './program.mjs'

/** From how many rows on a staging table is faster than statements. */
const BULK = 50

class DuckDB extends Engine {
  #dir
  #connection
  #tables = new Map()
  #queries = new Map()
  #results = new Map()

  static async open(dir) {
    const engine = new DuckDB()
    engine.#dir = dir
    const instance = await DuckDBInstance.create(':memory:')
    engine.#connection = await instance.connect()
    await engine.#open()
    return engine
  }

  async #open() {
    const connection = this.#connection
    await connection.run(readFileSync(join(this.#dir, 'queries/schema.sql'), 'utf8'))
    const names = (await connection.runAndReadAll('SELECT table_name FROM duckdb_tables()')).getRowsJS()
    for (const [name] of names) {
      await connection.run(`CREATE TEMP TABLE staged_${name} AS FROM ${name}; CREATE TEMP TABLE gone_${name} (key VARCHAR)`)
      const reader = await connection.runAndReadAll(`FROM ${name} LIMIT 0`)
      const columns = reader.columnNames()
      this.#tables.set(name, {
        name,
        columns,
        types: reader.columnTypes(),
        put: await connection.prepare(`INSERT OR REPLACE INTO ${name} VALUES (${columns.map(() => '?').join()})`),
        delete: await connection.prepare(`DELETE FROM ${name} WHERE "${columns[0]}" = ?`),
      })
    }
  }

  async install(names) {
    for (const name of names) {
      const sql = readFileSync(join(this.#dir, 'queries', `${name}.sql`), 'utf8')
      this.#queries.set(name, sql)
    }
    await this.loaded()
  }

  /** By table, the last that is said of each key: its row or nothing. */
  prepare(messages) {
    const tables = new Map()
    for (const { type, key, value } of messages) {
      const table = this.#tables.get(type)
      if (!tables.has(table)) tables.set(table, new Map())
      tables.get(table).set(key, value && table.columns.map((column, i) => (i === 0 ? key : (value[column] ?? null))))
    }
    return [...tables].map(([table, rows]) => ({
      table,
      put: [...rows.values()].filter((row) => row),
      gone: [...rows].filter(([, row]) => !row).map(([key]) => key),
    }))
  }

  async load(parts) {
    for (const { table, put } of parts) await this.#append(table.name, table.types, put)
  }

  async apply(parts) {
    const connection = this.#connection
    await connection.run('BEGIN')
    for (const { table, put, gone } of parts) {
      if (put.length + gone.length < BULK) {
        for (const row of put) {
          table.put.bind(row.map((value) => (Number.isInteger(value) ? BigInt(value) : value)), table.types)
          await table.put.run()
        }
        for (const key of gone) {
          table.delete.bind([key])
          await table.delete.run()
        }
        continue
      }
      const { name, columns, types } = table
      await this.#append(`staged_${name}`, types, put)
      await this.#append(`gone_${name}`, [types[0]], gone.map((key) => [key]))
      await connection.run(`
        INSERT OR REPLACE INTO ${name} FROM staged_${name};
        DELETE FROM ${name} WHERE "${columns[0]}" IN (FROM gone_${name});
        DELETE FROM staged_${name};
        DELETE FROM gone_${name}`)
    }
    await connection.run('COMMIT')
    await this.loaded()
  }

  async #append(table, types, rows) {
    if (rows.length === 0) return
    const appender = await this.#connection.createAppender(table)
    for (let start = 0; start < rows.length; start += 2048) {
      const chunk = DuckDBDataChunk.create(types)
      chunk.setRowsConverted(rows.slice(start, start + 2048), JSToDuckDBValueConverter)
      appender.appendDataChunk(chunk)
    }
    appender.closeSync()
  }

  async loaded() {
    for (const [name, sql] of this.#queries) {
      const reader = await this.#connection.runAndReadAll(sql)
      this.#results.set(name, { names: reader.columnNames(), columns: reader.getColumnsJS() })
    }
  }

  rows(name) {
    const { names, columns } = this.#results.get(name)
    const value = (v) => (typeof v === 'bigint' ? Number(v) : v)
    return (columns[0] ?? []).map((_, row) => Object.fromEntries(names.map((n, i) => [n, value(columns[i][row])])))
  }
}

const instance = await DuckDBInstance.create(':memory:')
const connection = await instance.connect()
const [[version]] = (await connection.runAndReadAll('SELECT version()')).getRowsJS()
await run((dir) => DuckDB.open(dir), version.replace(/^v/, ''))
