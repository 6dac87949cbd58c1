// Queries whose answers differ by decision, or that TanStack answers wrong: README.md lists them.
// The generator makes few; shrinking a case may make more.

import { isGroup } from './rows.mjs'

/** Why a query is not to be compared, if so. */
export function known(ir, place = 'top') {
  if (Array.isArray(ir)) return first(ir, item => known(item, place))
  if (!ir || typeof ir !== 'object') return undefined
  if (ir.scalarField && ir.query.join?.length) return 'scalars of joined children'
  if (ir.type === 'includesSubquery') return known(ir.query, 'include')
  if (ir.type === 'agg' && ['min', 'max', 'avg'].includes(ir.name) && !notNull(ir.args[0])) return `${ir.name} of what may be null`
  if (ir.from) {
    const ordered = ir.orderBy?.length > 0
    if (ir.join?.length && !ir.select && place === 'include') return 'joined children without select'
    if (place === 'include' && ir.join?.length && !showsIds(ir)) return 'joined children that may be equal'
    if (isSpreadOver(ir.select)) return 'an include before a spread'
    if (ir.distinct && place === 'include') return 'distinct rows of all parents at once'
    if (isEmpty(ir.select)) return 'an empty object in select'
    if (Object.values(ir.select ?? {}).some(isEmpty)) return 'an empty object in select'
    if (ir.orderBy?.some(item => isObject(ir.select?.[item.expression.path?.[1]]))) return 'an order by objects'
    if (isGroup(ir) && place === 'sub') return 'a subquery that aggregates without groupBy'
    if (isGroup(ir) && ordered) return 'an order of one row'
    if ((ir.groupBy?.length || isGroup(ir)) && hasDots(ir.select)) return 'a name with dots among groups'
    if (ir.groupBy?.length && !ir.select) return 'groups without select'
    if (ir.groupBy?.length && ir.orderBy?.some(item => refersToSource(item.expression))) return 'groups in the order of a source column'
    if (place === 'sub' && ir.groupBy?.length === 1 && ir.groupBy[0].name !== 'coalesce') return 'a subquery of groups whose key may be null'
    const matters = ordered || ir.singleResult || place === 'include'
    if (matters && !isGroup(ir) && keyDepth(ir) > 2 && !isTotal(ir)) return 'ties, which TanStack breaks by other keys'
  }
  return first(Object.values(ir), value => known(value, 'sub'))
}

/** Whether an expression is never null: TanStack counts null as 0 in some aggregates. */
function notNull(node) {
  return node.name === 'coalesce' && node.args.at(-1).type === 'val' && node.args.at(-1).value !== null
}

function first(items, check) {
  for (const item of items) {
    const found = check(item)
    if (found) return found
  }
  return undefined
}

/** Whether a value of `select` is no single expression. */
function isObject(value) {
  return Boolean(value) && !['ref', 'val', 'func', 'agg'].includes(value.type)
}

function isEmpty(value) {
  return isObject(value) && (Object.keys(value).length === 0 || (value.type === undefined && Object.values(value).some(isEmpty)))
}

function hasDots(select) {
  return isObject(select) && Object.entries(select).some(([name, value]) => name.includes('.') || hasDots(value))
}

/** Whether a field with an include stands before a spread, which may have that field. */
function isSpreadOver(select) {
  const fields = isObject(select) ? Object.entries(select) : []
  const include = fields.findIndex(([, value]) => JSON.stringify(value).includes('"includesSubquery"'))
  return include >= 0 && fields.slice(include).some(([name]) => name.startsWith('__SPREAD_SENTINEL__'))
}

/** Whether `select` has the `id` of every source, so that no two rows are equal. */
function showsIds(ir) {
  const shown = Object.values(ir.select).map(value => JSON.stringify(value.path))
  const sources = [ir.from, ...ir.join.map(join => join.from)]
  return sources.every(({ alias }) => [[alias], [alias, 'id']].some(path => shown.includes(JSON.stringify(path))))
}

function refersToSource(node) {
  if (!node || typeof node !== 'object') return false
  if (node.type === 'ref') return node.path[0] !== '$selected'
  return node.type !== 'agg' && (node.args ?? []).some(refersToSource)
}

/**
 * How deep keys nest in each other: 1 for plain text, 2 for a pair of such, which still order alike
 * here and there; more where they do not.
 */
export function keyDepth(ir) {
  const OTHER = 9
  if (ir.distinct || ir.groupBy?.length) return OTHER
  if (isGroup(ir)) return 1
  const source = from => {
    switch (from.type) {
      case 'queryRef':
        return keyDepth(from.query)
      case 'unionFrom':
        return 1 + Math.max(...from.sources.map(source))
      case 'unionAll':
        return 1 + Math.max(...from.queries.map(keyDepth))
    }
    return 1
  }
  let depth = source(ir.from)
  for (const join of ir.join ?? []) {
    // An unmatched side is null, which stands elsewhere in TanStack's text.
    depth = join.type === 'inner' ? 1 + Math.max(depth, source(join.from)) : OTHER
  }
  return depth
}

/** What to order by beside all else so that no two rows tie; nothing if there is no such thing. */
export function totalOrder(ir) {
  const both = expression => [expression, { type: 'func', name: 'isUndefined', args: [expression] }]
  const selected = name => ({ type: 'ref', path: ['$selected', name] })
  if (ir.distinct) return Object.keys(ir.select).flatMap(name => both(selected(name)))
  if (ir.groupBy?.length) {
    const names = ir.groupBy.map(key => Object.keys(ir.select).find(name => JSON.stringify(ir.select[name]) === JSON.stringify(key)))
    return names.includes(undefined) ? undefined : names.flatMap(name => both(selected(name)))
  }
  const sources = [ir.from, ...(ir.join ?? []).map(join => join.from)]
  if (sources.some(source => source.type !== 'collectionRef')) return undefined
  return sources.map(source => ({ type: 'ref', path: [source.alias, 'id'] }))
}

function isTotal(ir) {
  const plain = expression => JSON.stringify(expression, ['type', 'name', 'path', 'args'])
  const by = (ir.orderBy ?? []).map(item => plain(item.expression))
  return totalOrder(ir)?.every(expression => by.includes(plain(expression))) ?? false
}
