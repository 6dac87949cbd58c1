// Query JSON to TanStack's builder and back. Queries go through the builder's own functions and row
// proxies, as an application would write them; what `_getQuery()` gives is then TanStack's own IR,
// and that is what the engine under test gets.

import * as db from '@tanstack/db'

const SPREAD = '__SPREAD_SENTINEL__'

/** Thrown for what TanStack has no words for. */
export class Skip extends Error {}

/** The builder's query of an IR; `collections` by name. */
export function build(ir, collections, outer = {}) {
  if (!ir.orderBy?.length && (ir.limit !== undefined || ir.offset !== undefined))
    throw new Skip('limit without orderBy')
  const own = new Set()
  let query = new db.Query()
  const source = ref => {
    if (ref.type === 'collectionRef') return collections[ref.collection]
    if (ref.type === 'queryRef') return build(ref.query, collections, outer)
    throw new Skip(`source ${ref.type}`)
  }
  const named = refs => Object.fromEntries(refs.map(ref => [(own.add(ref.alias), ref.alias), source(ref)]))
  const branches = ir.from.type === 'unionAll'
  if (branches) query = query.unionAll(...ir.from.queries.map(q => build(q, collections, outer)))
  else if (ir.from.type === 'unionFrom') query = query.unionAll(named(ir.from.sources))
  else query = query.from(named([ir.from]))

  // Rows of a union of queries have no alias: paths start with a field.
  const scope = refs => name => (own.has(name) || name === '$selected' || !(name in outer) ? refs[name] : outer[name])
  const within = make => refs => make(scope(refs))
  const rows = refs => new Proxy({}, {
    has: (_, name) => own.has(name) || name in outer,
    get: (_, name) => scope(refs)(name),
  })

  for (const join of ir.join ?? []) {
    if (join.type === 'cross') throw new Skip('cross join')
    const on = join.on ?? { type: 'func', name: 'eq', args: [join.left, join.right] }
    query = query.join(named([join.from]), within(s => expression(on, s)), join.type === 'outer' ? 'full' : join.type)
  }
  for (const item of ir.where ?? []) query = query.where(within(s => expression(item.expression ?? item, s)))
  if (ir.groupBy?.length) query = query.groupBy(within(s => ir.groupBy.map(e => expression(e, s))))
  if (ir.select)
    query = query.select(refs => {
      const context = { scope: scope(refs), collections, rows: rows(refs) }
      const scalar = ir.select.__includes_scalar__
      return scalar ? selected(scalar, context) : fields(ir.select, context)
    })
  for (const item of ir.having ?? []) query = query.having(within(s => expression(item.expression ?? item, s)))
  for (const { expression: by, compareOptions } of ir.orderBy ?? [])
    query = query.orderBy(within(s => expression(by, s)), { nulls: 'first', direction: 'asc', ...compareOptions, stringSort: 'lexical' })
  if (ir.limit !== undefined) query = query.limit(ir.limit)
  if (ir.offset !== undefined) query = query.offset(ir.offset)
  if (ir.distinct) query = query.distinct()
  if (ir.singleResult) query = query.findOne()
  return query
}

const AGGREGATES = { count: db.count, sum: db.sum, avg: db.avg, min: db.min, max: db.max }
const NAMES = 'eq gt gte lt lte and or not isNull isUndefined like ilike upper lower length concat coalesce add subtract multiply divide caseWhen'
const FUNCTIONS = Object.fromEntries(NAMES.split(' ').map(name => [name, db[name]]))
FUNCTIONS.in = db.inArray

function expression(node, scope) {
  switch (node.type) {
    case 'ref':
      return node.path.slice(1).reduce((row, field) => row[field], scope(node.path[0]))
    case 'val':
      return new db.IR.Value(node.value)
    case 'agg':
      return AGGREGATES[node.name](...node.args.map(a => expression(a, scope)))
    case 'func': {
      const args = node.args.map(a => expression(a, scope))
      // What the builder does not export, its evaluator may still know.
      return FUNCTIONS[node.name]?.(...args) ?? new db.IR.Func(node.name, args.map(toExpression))
    }
  }
  throw new Skip(`expression ${node.type}`)
}

function toExpression(value) {
  return value?.__refProxy ? new db.IR.PropRef(value.__path, value.__path[0]) : value
}

/** The object that a select callback returns. */
function fields(select, context) {
  const object = {}
  for (const [name, value] of Object.entries(select)) {
    if (name.startsWith(SPREAD)) Object.assign(object, expression(value, context.scope))
    else object[name] = selected(value, context)
  }
  return object
}

function selected(value, context) {
  switch (value.type) {
    case 'conditionalSelect': {
      const args = value.branches.flatMap(b => [expression(b.condition, context.scope), selected(b.value, context)])
      return db.caseWhen(...args, ...(value.defaultValue ? [selected(value.defaultValue, context)] : []))
    }
    case 'includesSubquery':
      return included(value, context)
    case 'ref':
    case 'val':
    case 'func':
    case 'agg':
      return expression(value, context.scope)
  }
  if (typeof value.type === 'string') throw new Skip(`select ${value.type}`)
  return fields(value, context)
}

function included(node, { collections, rows }) {
  const { correlationField, childCorrelationField, parentFilters = [], materialization } = node
  // The builder takes these out of the child's conditions; here they go back.
  const link = correlationField && { type: 'func', name: 'eq', args: [childCorrelationField, correlationField] }
  const where = [...(link ? [link] : []), ...parentFilters, ...(node.query.where ?? [])]
  const query = build({ ...node.query, where, singleResult: materialization === 'singleton' }, collections, rows)
  switch (materialization) {
    case 'collection':
      return query
    case 'array':
      return db.toArray(query)
    case 'singleton':
      return db.materialize(query)
    case 'concat':
      return db.concat(db.toArray(query))
  }
  throw new Skip(`materialization ${materialization}`)
}

/** TanStack's IR as JSON, with collections named by their id. */
export function toJson(query) {
  const named = (key, value) => (key === 'collection' && typeof value !== 'string' ? value.id : value)
  return JSON.parse(JSON.stringify(query._getQuery(), named))
}

/** The names of all collections that a query reads. */
export function collectionsOf(ir, found = new Set()) {
  if (ir?.type === 'collectionRef') found.add(ir.collection)
  if (ir && typeof ir === 'object') for (const value of Object.values(ir)) collectionsOf(value, found)
  return found
}
