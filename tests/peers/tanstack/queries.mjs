// Random queries, as query JSON that the builder is then fed with.
//
// `PEERS_WITHOUT=union,include,…` leaves clauses out that the engine under test lacks.

import { INSIDE, value } from './data.mjs'
import { keyDepth, totalOrder } from './differences.mjs'
import { agg, Expressions, func, PLAIN, ref, val } from './expressions.mjs'
import { isGroup } from './rows.mjs'

const without = new Set((process.env.PEERS_WITHOUT ?? '').split(','))
const has = clause => !without.has(clause)

/** What a query says of itself to the one around it: the kinds of its result's fields. */
class Shape {
  constructor(fields) {
    this.fields = fields
  }
}

export class Queries {
  #aliases = 0
  names = 0

  constructor(random, collections) {
    this.random = random
    this.collections = collections
  }

  /** A whole query. */
  query() {
    return this.make({ depth: 2 }).ir
  }

  alias() {
    return 'abcdefghijklmnopqrstuvwxyz'[this.#aliases % 26] + (this.#aliases++ < 26 ? '' : this.#aliases)
  }

  /**
   * A query and its shape. `outer` are the fields of the rows around an include; `branch` says
   * the names and kinds that the result of a union's branch must have; a `source` must have a
   * select where its rows would hold others.
   */
  make({ depth, outer, branch, source = false }) {
    const { random } = this
    const ir = {}
    const scope = []
    this.from(ir, scope, depth, { child: Boolean(outer), branch })
    this.joins(ir, scope, depth, { child: Boolean(outer) })
    const own = expand(scope)
    const expressions = new Expressions(random, own)
    const conditions = new Expressions(random, [...own, ...(outer ?? []).filter(() => random.chance(50))])
    ir.where = random.some(random.weighted([[60, 0], [30, 1], [10, 2]]), () => (outer ? conditions : expressions).condition())
    if (ir.where.length === 0) delete ir.where

    const kind = random.weighted([[60, 'rows'], [22, 'groups'], [outer || !source ? 8 : 0, 'aggregate'], [outer ? 0 : 10, 'distinct']])
    let shape
    if (!branch && (kind === 'groups' || kind === 'aggregate')) shape = this.groups(ir, own, kind === 'groups', source)
    else {
      const plain = kind === 'distinct'
      const must = (source || outer) && (ir.join || ir.from.type === 'unionFrom')
      if (branch || plain || must || random.chance(65)) {
        const selects = new Selects(this, expressions, scope, { depth, outer, branch, plain, source })
        ir.select = selects.object()
        shape = new Shape(selects.fields)
      } else shape = new Shape(Object.fromEntries(resultFields(ir, scope)))
      if (plain && !branch) ir.distinct = true
    }
    if (!branch) this.order(ir, expressions, shape, Boolean(outer))
    return { ir, shape }
  }

  collection() {
    const name = this.random.pick(Object.keys(this.collections))
    return { ref: { type: 'collectionRef', collection: name, alias: this.alias() }, shape: new Shape(this.collections[name]) }
  }

  /** A collection or a query, under a new alias. */
  source(depth) {
    if (depth === 0 || this.random.chance(80)) return this.collection()
    const { ir, shape } = this.make({ depth: depth - 1, source: true })
    return { ref: { type: 'queryRef', query: ir, alias: this.alias() }, shape }
  }

  from(ir, scope, depth, { child, branch }) {
    const { random } = this
    const union = depth > 0 && has('union') && !branch ? random.weighted([[85, ''], [6, 'unionFrom'], [9, 'unionAll']]) : ''
    if (union === 'unionFrom') {
      const sources = random.some(random.between(2, 3), () => this.source(depth - 1))
      ir.from = { type: 'unionFrom', sources: sources.map(s => s.ref) }
      for (const { ref: { alias }, shape } of sources) scope.push({ path: [alias], fields: shape.fields })
      return
    }
    if (union === 'unionAll') {
      const fields = Object.fromEntries(['x', 'y', 'z'].slice(0, random.between(1, 3)).map(name => [name, random.pick(PLAIN)]))
      const branches = random.some(random.between(2, 3), i => this.make({ depth: depth - 1, branch: { fields, all: i === 0 } }))
      ir.from = { type: 'unionAll', queries: branches.map(b => b.ir) }
      scope.push({ path: [], fields })
      return
    }
    const { ref: source, shape } = this.source(child ? depth - 1 : depth)
    ir.from = source
    scope.push({ path: [source.alias], fields: shape.fields })
  }

  /** Adds joins. */
  joins(ir, scope, depth, { child }) {
    const { random } = this
    const count = random.weighted(child ? [[90, 0], [10, 1]] : [[60, 0], [28, 1], [12, 2]])
    for (let i = 0; i < count; i++) {
      const { ref: source, shape } = this.source(depth - 1 < 0 ? 0 : depth - 1)
      const left = new Expressions(random, expand(scope))
      const here = [{ path: [source.alias], fields: shape.fields }]
      const right = new Expressions(random, expand(here))
      const keys = random.some(random.weighted([[75, 1], [20, 2], [5, 3]]), () => this.equality(left, right)).filter(Boolean)
      if (keys.length === 0) return
      const type = random.pick(['inner', 'left', 'right', 'full'])
      const on = keys.length === 1 ? keys[0] : func('and', ...keys)
      ;(ir.join ??= []).push({ type, from: source, on })
      scope.push(here[0])
    }
  }

  equality(left, right) {
    const { random } = this
    const kind = random.pick(['key', 'key', 'str', 'num'])
    const kinds = kind === 'num' ? ['num'] : kind === 'key' ? ['key'] : ['str']
    const [a, b] = [left.field(...kinds), right.field(...kinds)]
    if (!a || !b) return undefined
    const dress = side => {
      if (random.chance(85)) return side
      return kind === 'num' ? func('add', side, val(1)) : func(random.pick(['upper', 'lower']), side)
    }
    const sides = [dress(a), dress(b)]
    return func('eq', ...(random.chance(70) ? sides : sides.reverse()))
  }

  /** groupBy, aggregates and having; the shape of the result. */
  groups(ir, fields, keyed, source) {
    const { random } = this
    const expressions = new Expressions(random, fields)
    const keys = keyed ? random.some(random.weighted([[60, 1], [30, 2], [10, 3]]), () => expressions.of(random.pick(PLAIN), random.chance(80) ? 0 : 1)).filter(k => k.type !== 'val') : []
    if (keyed && keys.length === 0) keys.push(expressions.field(...PLAIN) ?? func('length', val('')))
    const kindOf = key => (key.type === 'ref' ? fields.find(f => f.path.join() === key.path.join()).kind : kindOfFunction(key))
    const kinds = keys.map(kindOf)
    // A single key is the row's key as it is, and null cannot be told from an unmatched side.
    if (source && keys.length === 1) keys[0] = func('coalesce', keys[0], val(PLAIN.includes(kinds[0]) ? value(random, kinds[0]) : 'none'))
    if (keyed) ir.groupBy = keys
    ir.select = {}
    const shape = {}
    keys.forEach((key, i) => {
      if (random.chance(85)) {
        ir.select[`k${i}`] = key
        shape[`k${i}`] = kinds[i]
      }
    })
    const aggregates = random.some(random.between(1, 3), () => this.aggregate(expressions))
    aggregates.forEach(([aggregate, kind], i) => {
      const name = `v${i}`
      if (random.chance(12)) ir.select[`in${i}`] = { [name]: aggregate }
      else {
        ir.select[name] = aggregate
        shape[name] = kind
      }
    })
    const numbers = aggregates.filter(([, kind], i) => kind === 'num' && ir.select[`v${i}`]).map(([aggregate]) => aggregate)
    const number = numbers[0]
    if (number && random.chance(25)) {
      const other = random.chance(50) ? val(2) : numbers.at(-1)
      ir.select.e = random.pick([
        () => func('add', number, other),
        () => func('coalesce', number, val(0)),
        () => func('caseWhen', func('gt', number, val(1)), val('many'), val('few')),
        () => func('concat', number, keys[0] ?? val('!')),
      ])()
    }
    if (random.chance(30)) {
      const seen = Object.entries(shape).map(([name, kind]) => ({ path: ['$selected', name], kind }))
      const having = new Expressions(random, seen)
      const of = random.below(3)
      if (of === 0 && number) ir.having = [func(random.pick(['gt', 'lte', 'eq']), number, val(random.below(4)))]
      else if (of === 1 && keys.length) ir.having = [func('not', func('eq', random.pick(keys), val(random.pick(['x', 1, '2', 0]))))]
      else if (seen.length) ir.having = [having.condition(1)]
    }
    return new Shape(shape)
  }

  aggregate(expressions) {
    const { random } = this
    const name = random.pick(['count', 'count', 'sum', 'avg', 'min', 'max'])
    switch (name) {
      case 'count':
        return [agg(name, expressions.field('num', 'str', 'bool', 'time', 'arr', 'obj', 'key') ?? val(1)), 'num']
      case 'sum':
        // Of text and booleans too: sums are of what JavaScript's `Number` makes of them.
        return [agg(name, random.chance(85) ? expressions.number(1) : expressions.of(random.pick(['bool', 'key', 'str']), 0)), 'num']
    }
    // TanStack counts null as 0 in these.
    if (name !== 'avg' && random.chance(40)) return [agg(name, func('coalesce', expressions.text(1), val('m'))), 'str']
    return [agg(name, func('coalesce', expressions.number(1), val(random.below(3)))), name === 'avg' ? 'real' : 'num']
  }

  /** orderBy, limit and offset. */
  order(ir, expressions, shape, child) {
    const { random } = this
    if (isGroup(ir)) return
    const plainKeys = keyDepth(ir) <= 2
    if (random.chance(child && !plainKeys ? 0 : 50)) {
      if (plainKeys && random.chance(4)) ir.singleResult = true
      return
    }
    const selected = Object.entries(shape.fields).filter(([name, kind]) => ir.select?.[name] && (PLAIN.includes(kind) || kind === 'real'))
    const items = random.some(random.weighted([[60, 1], [30, 2], [10, 3]]), () => {
      if (ir.groupBy || ir.distinct || random.chance(30)) return selected.length ? ref(['$selected', random.pick(selected)[0]]) : undefined
      return expressions.of(random.pick(PLAIN), 1)
    }).filter(item => item && item.type !== 'val')
    if (!plainKeys) {
      // Ties are broken by keys, which are not ours: leave none.
      if (ir.distinct && Object.keys(ir.select).length > selected.length) return
      ir.groupBy?.forEach((key, i) => (ir.select[`k${i}`] ??= key))
      const total = totalOrder(ir)
      if (!total) return
      items.push(...total)
    }
    if (items.length === 0) return
    ir.orderBy = items.map(expression => ({
      expression,
      compareOptions: { direction: random.pick(['asc', 'desc']), nulls: random.pick(['first', 'first', 'last']) },
    }))
    if (random.chance(55)) ir.limit = random.between(0, 4)
    if (random.chance(20)) ir.offset = random.between(0, 2)
    if (random.chance(10)) ir.singleResult = true
  }
}

class Selects {
  constructor(queries, expressions, scope, { depth, outer, branch, plain, source }) {
    Object.assign(this, { queries, random: queries.random, expressions, scope, depth, outer, branch, plain, source })
    this.fields = {}
    this.spreads = 0
  }

  object() {
    const { random } = this
    const select = {}
    if (this.branch) {
      for (const [name, kind] of Object.entries(this.branch.fields)) {
        if (this.branch.all || random.chance(85)) select[name] = this.expressions.of(kind, 1)
        this.fields[name] = kind
      }
      if (Object.keys(select).length === 0) select[Object.keys(this.branch.fields)[0]] = val(null)
      return select
    }
    const count = random.between(1, 4)
    for (let i = 0; i < count; i++) {
      // Sorted by name, capitals stand before spreads, and collections have a column F0. Not in what may be
      // spread itself, as a missing value overrides in TanStack, but is no field of a row here.
      const name = `${this.source || this.branch || random.chance(60) ? 'f' : 'F'}${i}`
      const spread = this.fields[name]
      delete this.fields[name]
      this.add(select, name)
      if (spread && this.fields[name] !== spread) this.fields[name] = 'mixed'
    }
    return select
  }

  add(select, name) {
    const { random, plain } = this
    const makes = [[60, 'expression'], [plain ? 0 : 8, 'nested'], [plain ? 0 : 7, 'column']]
    const aliased = this.scope.filter(source => source.path.length === 1)
    if (aliased.length && !plain) makes.push([has('spread') ? 12 : 0, 'spread'], [5, 'whole'])
    if (!plain && has('conditional')) makes.push([6, 'conditional'])
    if (!plain && has('dotted')) makes.push([6, 'dotted'])
    if (!plain) makes.push([8, 'wild'])
    if (!plain && has('include') && this.depth > 0 && !this.source) makes.push([this.outer ? 15 : 25, 'include'])
    switch (random.weighted(makes)) {
      case 'expression': {
        const kind = random.pick(PLAIN)
        select[name] = this.expressions.of(kind)
        this.fields[name] = kind
        return
      }
      case 'column': {
        const kind = random.pick(['arr', 'obj'])
        const column = this.expressions.field(kind)
        if (!column) return this.add(select, name)
        select[name] = column
        this.fields[name] = kind
        return
      }
      case 'nested': {
        const inner = {}
        inner.i = this.expressions.of(random.pick(PLAIN))
        if (random.chance(50)) inner.j = random.chance(30) ? { k: this.expressions.of('num') } : this.expressions.of('str')
        if (aliased.length && has('spread') && random.chance(20)) {
          const { path } = this.spread(aliased)
          inner[`__SPREAD_SENTINEL__${path.join('.')}__0`] = ref(path)
        }
        select[this.objectName(name)] = inner
        return
      }
      case 'spread': {
        const source = this.spread(aliased)
        select[`__SPREAD_SENTINEL__${source.path.join('.')}__${this.spreads++}`] = ref(source.path)
        // Of an outer join it may add nothing: then an earlier field shows through.
        for (const [field, kind] of Object.entries(source.fields)) {
          const other = this.fields[field] ?? (field in select ? 'mixed' : kind)
          this.fields[field] = other === kind ? kind : 'mixed'
        }
        return
      }
      case 'wild':
        select[name] = this.expressions.wild()
        return
      case 'dotted': {
        // Into an object that is there already, or a new one.
        const objects = Object.keys(select).filter(other => /^f\d+_\d+$/i.test(other))
        const into = objects.length && random.chance(60) ? random.pick(objects) : this.objectName(name)
        select[`${into}.${random.pick(['i', 'j', 'l', 'm.n'])}`] = this.expressions.of(random.pick(PLAIN), 1)
        return
      }
      case 'whole':
        select[name] = ref(random.pick(aliased).path)
        return
      case 'conditional':
        select[name] = this.conditional()
        return
      case 'include': {
        const include = this.include()
        if (!include) return this.add(select, name)
        // TanStack puts it in last: a spread does not override it.
        select[name.toLowerCase()] = include
      }
    }
  }

  /** One that no spread gives: TanStack puts fields into an object that was spread, also in the source's row. */
  objectName(name) {
    return `${name}_${this.queries.names++}`
  }

  /** What is spread: a row, or an object in it. */
  spread(aliased) {
    const source = this.random.pick(aliased)
    const objects = Object.keys(source.fields).filter(name => source.fields[name] === 'obj')
    if (objects.length === 0 || this.random.chance(60)) return source
    return { path: [...source.path, this.random.pick(objects)], fields: INSIDE }
  }

  conditional() {
    const { random, expressions } = this
    const leaf = i => ({ [`c${i}`]: expressions.of(random.pick(PLAIN), 1), ...(random.chance(40) && { d: expressions.of('num', 1) }) })
    const branches = random.some(random.between(1, 2), i => ({ condition: random.chance(80) ? expressions.condition(1) : expressions.of('num', 0), value: leaf(i) }))
    if (has('include') && this.depth > 0 && !this.source && random.chance(20)) {
      const include = this.include()
      if (include) branches[0].value.inc = include
    }
    return { type: 'conditionalSelect', branches, ...(random.chance(60) && { defaultValue: random.chance(80) ? leaf(9) : expressions.of('str', 0) }) }
  }

  include() {
    const { random, queries } = this
    const parents = expand(this.scope)
    const all = [...(this.outer ?? []), ...parents]
    const materialization = random.weighted([[50, 'array'], [20, 'singleton'], [15, 'concat'], [15, 'collection']])
    for (let tries = 0; tries < 20; tries++) {
      const { ir } = queries.make({ depth: this.depth - 1, outer: all })
      if (ir.from.type === 'unionAll') continue
      const aliases = ir.from.type === 'unionFrom' ? ir.from.sources : [ir.from]
      const own = queries.childFields(aliases)
      const link = queries.link(own, parents)
      if (!link) continue
      delete ir.singleResult
      ir.where = random.chance(85) ? [link, ...(ir.where ?? [])] : [func('and', link, ...(ir.where?.splice(0, 1) ?? [val(true)])), ...(ir.where ?? [])]
      const node = { type: 'includesSubquery', query: ir, materialization }
      if (materialization === 'singleton') ir.singleResult = true
      const scalars = ir.groupBy || isGroup(ir) ? [] : own.filter(f => PLAIN.includes(f.kind))
      if (materialization === 'concat' || (materialization === 'array' && random.chance(25))) {
        if (!scalars.length || ir.join || ir.distinct || ir.orderBy?.some(o => o.expression.path?.[0] === '$selected')) continue
        ir.select = { __includes_scalar__: new Expressions(random, scalars).of(random.pick(PLAIN), 1) }
      }
      return node
    }
    return undefined
  }
}

Queries.prototype.childFields = function (sources) {
  return sources.flatMap(source => {
    const fields = source.type === 'collectionRef' ? this.collections[source.collection] : {}
    return expand([{ path: [source.alias], fields }])
  })
}

/** The equality that ties a child to its parent. */
Queries.prototype.link = function (child, parent) {
  const { random } = this
  const pairs = child.flatMap(c => parent.filter(p => p.kind === c.kind && ['key', 'str', 'num'].includes(c.kind) && p.path.length === 2 && c.path.length === 2).map(p => [c, p]))
  if (pairs.length === 0) return undefined
  const likely = pairs.filter(([c]) => c.kind === 'key')
  const [c, p] = random.pick(likely.length && random.chance(60) ? likely : pairs)
  const sides = [ref(c.path), ref(p.path)]
  return func('eq', ...(random.chance(70) ? sides : sides.reverse()))
}

/** All paths that can be referred to, into objects too. */
function expand(scope) {
  return scope.flatMap(({ path, fields }) => [
    ...(path.length ? [{ path, kind: 'row' }] : []),
    ...Object.entries(fields).flatMap(([name, kind]) => [
      { path: [...path, name], kind },
      ...(kind === 'obj' ? Object.entries(INSIDE).map(([inner, k]) => ({ path: [...path, name, inner], kind: k })) : []),
    ]),
  ])
}

function resultFields(ir, scope) {
  return scope.length === 1 && ir.from.type !== 'unionFrom' ? Object.entries(scope[0].fields) : []
}

function kindOfFunction(key) {
  if (['add', 'subtract', 'multiply', 'divide', 'length'].includes(key.name)) return 'num'
  if (['upper', 'lower', 'concat', 'date', 'datetime', 'strftime'].includes(key.name)) return 'str'
  return ['coalesce', 'caseWhen'].includes(key.name) ? 'mixed' : 'bool'
}
