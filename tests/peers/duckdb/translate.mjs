// Query JSON to SQL: the specification of what the one means in terms of the other.
//
// A query becomes `{sql, columns, keys}`: a SELECT whose columns are the fields of the result rows
// (a Map from dotted path to type) and then the parts of the row key, by which ties are broken
// (their names; null where SQL does not know the key, so that no tie may be left).

import { AGGREGATES, FUNCTIONS, Skip, common, exact } from './functions.mjs'
import { COLUMNS, TABLES, literal } from './schema.mjs'

/** A name in SQL. */
const id = (name) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name}"`)

const listing = (parts) => parts.join(', ')

export function translate(query) {
  const { sql, columns } = relation(query, new Map())
  return { sql, columns: [...columns.keys()] }
}

// Expressions

/** Translates in a scope: `ref(path)` finds a column, `keys` are the row's in an aggregate. */
function expression(expr, scope) {
  switch (expr?.type) {
    case 'ref':
      return scope.ref(expr.path)
    case 'val':
      return value(expr.value)
    case 'func': {
      if (expr.name === 'in') return inList(expr, scope)
      if (expr.name === 'or' && isNullish(expr)) {
        return { sql: `(${expression(expr.args[0].args[0], scope).sql} IS NULL)`, type: 'bool' }
      }
      const rule = FUNCTIONS[expr.name]
      if (!rule) throw new Skip(`no SQL for ${expr.name}`)
      return rule(expr.args.map((arg) => expression(arg, scope)), expr.name, expr.args)
    }
    case 'agg': {
      const rule = AGGREGATES[expr.name]
      if (!rule) throw new Skip(`no SQL for ${expr.name}`)
      if (!scope.groups) throw new Skip('an aggregate without groups')
      const args = expr.args.map((arg) => expression(arg, { ...scope, groups: false }))
      if (expr.name === 'arrayAgg' || expr.name === 'first' || expr.name === 'last') needKeys(scope.keys)
      return rule(args, expr.name, expr.args, scope.keys)
    }
    default:
      throw new Skip('no expression')
  }
}

function value(value) {
  const types = { string: 'str', boolean: 'bool', number: Number.isInteger(value) ? 'int' : 'num' }
  if (value === null) return { sql: 'NULL', type: 'null' }
  if (!types[typeof value]) throw new Skip('an array or object')
  return { sql: literal(value), type: types[typeof value] }
}

/** Elements that are null match nothing, also under `not`: SQL would say unknown. */
function inList({ args: [needle, list] }, scope) {
  if (list.type !== 'val' || !Array.isArray(list.value)) throw new Skip('in of what is no constant list')
  const tested = exact(expression(needle, scope))
  const items = list.value.filter((item) => item !== null).map(value)
  common([tested, ...items])
  if (items.length === 0) return { sql: `CASE WHEN ${tested.sql} IS NOT NULL THEN FALSE END`, type: 'bool' }
  return { sql: `(${tested.sql} IN (${listing(items.map((item) => item.sql))}))`, type: 'bool' }
}

/** SQL does not tell null from missing: only the question for both has an answer. */
function isNullish({ args }) {
  const [a, b] = args
  return (
    args.length === 2 &&
    a.name === 'isNull' &&
    b.name === 'isUndefined' &&
    JSON.stringify(a.args) === JSON.stringify(b.args)
  )
}

function condition(item, scope) {
  const { sql, type } = expression(item.expression ?? item, scope)
  if (type !== 'bool') throw new Skip(`a condition that is ${type}`)
  return sql
}

function needKeys(keys) {
  if (!keys) throw new Skip('row keys that SQL does not know')
  return keys
}

// Sources: `{sql, aliases, keys}`, where `aliases` is a Map from alias to a Map from field to {sql, type}.

/** The columns of a derived table under its alias. */
function derived(alias, { sql, columns, keys }) {
  const fields = [...columns].map(([name, type]) => [name, { sql: `${alias}.${id(name)}`, type }])
  return { sql: `(${sql}) AS ${alias}`, fields: new Map(fields), keys: keys && keys.map((key) => `${alias}.${key}`) }
}

function source(from, names) {
  const alias = from.alias
  switch (from.type) {
    case 'collectionRef': {
      if (names.has(from.collection)) {
        const { columns } = names.get(from.collection)
        const fields = [...columns].map(([name, type]) => [name, { sql: `${alias}.${id(name)}`, type }])
        return { sql: `${from.collection} AS ${alias}`, aliases: new Map([[alias, new Map(fields)]]), keys: null }
      }
      if (!TABLES.includes(from.collection)) throw new Skip(`no table ${from.collection}`)
      const fields = Object.entries(COLUMNS).map(([name, type]) => [name, { sql: `${alias}.${name}`, type }])
      return {
        sql: `${from.collection} AS ${alias}`,
        aliases: new Map([[alias, new Map(fields)]]),
        keys: [`${alias}._key`],
      }
    }
    case 'queryRef': {
      const { sql, fields, keys } = derived(alias, relation(from.query, names))
      return { sql, aliases: new Map([[alias, fields]]), keys }
    }
    case 'unionAll': {
      const { sql, fields, keys } = derived('u', unionAll(from.queries.map((q) => relation(q, names))))
      return { sql, aliases: new Map([['', fields]]), keys }
    }
    case 'unionFrom': {
      // Each source's fields under its own alias, as `alias.field`.
      const branches = from.sources.map((s) => relation({ from: s, select: everything(s, names) }, names))
      const { sql, fields, keys } = derived('u', unionAll(branches, from.sources.map((s) => literal(s.alias))))
      const aliases = new Map(from.sources.map((s) => [s.alias, new Map()]))
      for (const [path, column] of fields) {
        const [alias, ...field] = path.split('.')
        aliases.get(alias).set(field.join('.'), column)
      }
      return { sql, aliases, keys }
    }
    default:
      throw new Skip('no source')
  }
}

/** A select of all fields of a source under its alias. */
function everything(from, names) {
  const [[alias, fields]] = source(from, names).aliases
  const refs = [...fields.keys()].map((name) => [name, { type: 'ref', path: [alias, ...name.split('.')] }])
  return { [alias]: Object.fromEntries(refs) }
}

/** Rows stand by branch (its number or alias), then by the branch's key; each branch has key columns of its own. */
function unionAll(branches, branchKeys = branches.map((_, n) => n)) {
  const columns = new Map()
  for (const name of new Set(branches.flatMap((b) => [...b.columns.keys()]))) {
    columns.set(name, common(branches.map((b) => ({ type: b.columns.get(name) ?? 'null' }))))
  }
  const known = branches.every((b) => b.keys)
  const keysOf = (b) => branches.flatMap((other, n) => other.keys.map((key) => [`_k${n}${key}`, other === b ? key : 'NULL']))
  const selects = branches.map((b, n) => {
    const fields = [...columns.keys()].map((name) => (b.columns.has(name) ? id(name) : `NULL AS ${id(name)}`))
    const keys = known ? [`${branchKeys[n]} AS _branch`, ...keysOf(b).map(([name, sql]) => `${sql} AS ${name}`)] : []
    return `SELECT ${listing([...fields, ...keys])} FROM (${b.sql})`
  })
  const keys = known ? ['_branch', ...keysOf(branches[0]).map(([name]) => name)] : null
  return { sql: selects.join(' UNION ALL '), columns, keys }
}

const JOINS = { inner: 'INNER', left: 'LEFT', right: 'RIGHT', full: 'FULL', outer: 'FULL' }

/** FROM and JOIN. */
function sources(query, names) {
  let { sql, aliases, keys } = source(query.from, names)
  for (const join of query.join ?? []) {
    const next = source(join.from, names)
    aliases = new Map([...aliases, ...next.aliases])
    keys = keys && next.keys && [...keys, ...next.keys]
    const on = () => condition(join.on, { ref: find(aliases) })
    sql += join.type === 'cross' ? ` CROSS JOIN ${next.sql}` : ` ${JOINS[join.type]} JOIN ${next.sql} ON ${on()}`
  }
  return { sql, aliases, keys }
}

const find = (aliases) => (path) => {
  const [alias, ...field] = aliases.has('') ? ['', ...path] : path
  const column = aliases.get(alias)?.get(field.join('.'))
  if (!column) throw new Skip(`no column ${path.join('.')}`)
  return column
}

// Queries

const isExpression = (tree) => ['ref', 'val', 'func', 'agg'].includes(tree?.type)

const hasAggregate = (tree) =>
  tree !== null && typeof tree === 'object' && (tree.type === 'agg' || Object.values(tree).some(hasAggregate))

/** A select as a flat Map from dotted path to expression. */
function flat(select, path = []) {
  return Object.entries(select).flatMap(([name, tree]) =>
    isExpression(tree) ? [[[...path, name].join('.'), tree]] : flat(tree, [...path, name]),
  )
}

/** Without a select: the row itself; of a join or union the rows by alias. */
function wholeRow(query, aliases) {
  const nested = query.join?.length || query.from.type === 'unionFrom'
  return [...aliases].flatMap(([alias, fields]) =>
    [...fields.keys()].map((name) => [
      nested ? `${alias}.${name}` : name,
      { type: 'ref', path: alias === '' ? [name] : [alias, ...name.split('.')] },
    ]),
  )
}

function relation(query, outer) {
  const { prefix, names } = recursive(query, outer)
  const { sql: from, aliases, keys: rowKeys } = sources(query, names)
  const grouped = query.groupBy?.length > 0 || hasAggregate(query.select)
  if (grouped && !query.select) throw new Skip('groups without a select')
  const select = new Map(query.select ? flat(query.select) : wholeRow(query, aliases))

  const row = { ref: find(aliases) }
  // `$selected` stands for the expression that was selected.
  const selected = {
    groups: grouped,
    keys: rowKeys,
    ref: (path) => {
      if (path[0] !== '$selected') return row.ref(path)
      const name = path.slice(1).join('.')
      if (!select.has(name)) throw new Skip(`not selected: ${name}`)
      return expression(select.get(name), selected)
    },
  }
  const fields = [...select].map(([name, expr]) => [name, expression(expr, selected)])
  const groups = (query.groupBy ?? []).map((expr) => {
    if (expr.type === 'val') throw new Skip('a constant group')
    return exact(expression(expr, row)).sql
  })

  // The first part tells a group of nulls from the unmatched side of an outer join.
  let keys = grouped ? ['0::BIGINT', ...groups] : rowKeys
  if (query.distinct) {
    fields.forEach(([, field]) => exact(field))
    keys = null
  }
  const keyNames = keys && keys.map((_, n) => `_k${n}`)
  const outputs = [
    ...fields.map(([name, { sql }]) => `${sql} AS ${id(name)}`),
    ...(keys ?? []).map((key, n) => `${key} AS _k${n}`),
  ]
  if (outputs.length === 0) throw new Skip('nothing selected')
  const clauses = [`${prefix}SELECT ${query.distinct ? 'DISTINCT ' : ''}${listing(outputs)} FROM ${from}`]
  const where = (query.where ?? []).map((item) => condition(item, row))
  if (where.length > 0) clauses.push(`WHERE ${where.join(' AND ')}`)
  if (groups.length > 0) clauses.push(`GROUP BY ${listing(groups)}`)
  const having = (query.having ?? []).map((item) => condition(item, selected))
  if (having.length > 0) clauses.push(`HAVING ${having.join(' AND ')}`)
  clauses.push(...order(query, selected, fields, keys))
  return { sql: clauses.join(' '), columns: new Map(fields.map(([name, { type }]) => [name, type])), keys: keyNames }
}

/** ORDER BY with the key as the last tie-break, and the window. */
function order(query, scope, fields, keys) {
  const limit = query.singleResult ? Math.min(1, query.limit ?? 1) : query.limit
  const windowed = limit !== undefined || query.offset > 0
  const items = (query.orderBy ?? []).map(({ expression: expr, compareOptions: o = {} }) => {
    if (expr.type === 'val') throw new Skip('a constant order')
    // After DISTINCT only the names of columns are known.
    const names = expr.path?.[0] === '$selected' ? expr.path.slice(1).join('.') : null
    if (query.distinct && names === null) throw new Skip('order by what distinct did not keep')
    const sql = query.distinct ? id(names) : exact(expression(expr, scope)).sql
    return { sql, text: `${sql} ${o.direction ?? 'asc'} NULLS ${o.nulls ?? 'first'}` }
  })
  if (items.length === 0 && !windowed) return []
  // Ties of distinct rows are none where all fields are ordered by.
  const total = query.distinct && fields.every(([name]) => items.some((item) => item.sql === id(name)))
  const ties = total ? [] : needKeys(keys).map((key) => `${key} NULLS FIRST`)
  const by = [...items.map((item) => item.text), ...ties]
  return [
    ...(by.length > 0 ? [`ORDER BY ${listing(by)}`] : []),
    ...(limit !== undefined ? [`LIMIT ${limit}`] : []),
    ...(query.offset > 0 ? [`OFFSET ${query.offset}`] : []),
  ]
}

/**
 * WITH RECURSIVE: the query must be a union, whose first branches do not name it. UNION makes equal
 * rows one in every round, which is the least fixed point.
 */
function recursive(query, outer) {
  const definitions = Object.entries(query.withRecursive ?? {})
  if (definitions.length === 0) return { prefix: '', names: outer }
  if (definitions.length > 1) throw new Skip('several recursive queries')
  const [[name, { from, ...rest }]] = definitions
  if (from.type !== 'unionAll' || Object.keys(rest).length > 0) throw new Skip('a recursion that is no plain union')
  const refers = (q) => JSON.stringify(q).includes(`"collection":"${name}"`)
  const bases = from.queries.filter((q) => !refers(q)).map((q) => relation(q, outer))
  if (bases.length === 0) throw new Skip('a recursion without a start')
  const { columns } = unionAll(bases)
  const names = new Map([...outer, [name, { columns }]])
  const steps = from.queries.filter(refers).map((q) => relation(q, names))
  if (steps.length === 0) throw new Skip('a recursion that does not recur')
  const list = listing([...columns.keys()].map(id))
  const branch = (b) => {
    if ([...columns].some(([column, type]) => b.columns.get(column) !== type)) throw new Skip('branches that differ')
    exactColumns(b)
    return `SELECT ${list} FROM (${b.sql})`
  }
  const union = (branches) => branches.map(branch).join(' UNION ALL ')
  return { prefix: `WITH RECURSIVE ${name} AS ((${union(bases)}) UNION (${union(steps)})) `, names }
}

function exactColumns({ columns }) {
  for (const type of columns.values()) exact({ type })
}
