// Random query JSON that SQL can say. Expressions are typed, see functions.mjs; what slips through
// and cannot be translated is thrown away by the caller, who asks again.

import { COMPARISONS, Expressions, func, ref, val } from './expressions.mjs'
import { COLUMNS, TABLES } from './schema.mjs'

const agg = (name, ...args) => ({ type: 'agg', name, args })

export class Generator extends Expressions {
  aliases = 0

  query() {
    const special = ['countOf', ...(this.features.has('recursion') ? ['recursion'] : [])]
    if (this.random.chance(0.1)) return this[this.random.pick(special)]()
    return this.select(0).query
  }

  // Queries: `{query, fields}` with the fields' names and types.

  source(depth) {
    const alias = `t${this.aliases++}`
    if (depth < 2 && this.random.chance(depth === 0 ? 0.25 : 0.1)) {
      const { query, fields } = this.select(depth + 1)
      const atoms = fields.map(({ name, ...field }) => ({ ...field, expr: ref(alias, ...name.split('.')) }))
      return { from: { type: 'queryRef', query, alias }, atoms }
    }
    return { from: { type: 'collectionRef', collection: this.random.pick(TABLES), alias }, atoms: tableAtoms(alias) }
  }

  join(earlier, next) {
    const { random } = this
    const type = random.pick(['inner', 'inner', 'left', 'left', 'right', 'full', 'outer', 'cross'])
    if (type === 'cross') return { type, from: next.from }
    const pair = () => {
      const kind = random.pick(['int', 'int', 'int', 'str', 'num', 'bool'])
      const sides = [earlier, next.atoms].map((atoms) => {
        const fits = atoms.filter((a) => !a.large && (a.type === kind || (kind === 'num' && a.type === 'int')))
        return random.pick(fits.length > 0 ? fits : [undefined])
      })
      return sides.includes(undefined) ? undefined : sides.map((a) => this.sideOf(a))
    }
    const pairs = random.list(1, random.chance(0.3) ? 2 : 1, pair).filter(Boolean)
    if (pairs.length === 0) return { type: 'cross', from: next.from }
    const conditions = pairs.map((sides) => func('eq', ...(random.chance(0.3) ? sides.reverse() : sides)))
    if (random.chance(0.3)) {
      const range = random.chance(0.7)
      const kind = random.pick(['int', 'num', 'str'])
      conditions.push(
        range
          ? func(random.pick(COMPARISONS.slice(1)), this.of(kind, earlier, 0), this.of(kind, next.atoms, 0))
          : this.bool([...earlier, ...next.atoms], 1),
      )
    }
    return { type, from: next.from, on: conditions.length === 1 ? conditions[0] : func('and', ...random.shuffled(conditions)) }
  }

  /** One side of an equality: a column, now and then something computed of it. */
  sideOf({ expr, type }) {
    if (this.random.chance(0.85)) return expr
    return type === 'str' ? func('lower', expr) : type === 'bool' ? func('not', expr) : func('add', expr, val(1))
  }

  sources(depth) {
    const { random } = this
    if (this.features.has('unions') && random.chance(0.12)) return this.union(depth)
    const first = this.source(depth)
    let { atoms } = first
    const join = []
    let outer = false
    for (let more = random.pick([0, 0, 0, 1, 1, 1, 2]); more > 0; more--) {
      const next = this.source(depth)
      join.push(this.join(atoms, next))
      outer ||= ['left', 'right', 'full', 'outer'].includes(join.at(-1).type)
      atoms = [...atoms, ...next.atoms]
    }
    return { query: { from: first.from, ...(join.length > 0 ? { join } : {}) }, atoms, outer }
  }

  union(depth) {
    const { random } = this
    if (random.chance(0.4)) {
      const sources = random.list(2, 3, () => this.source(depth + 1))
      const atoms = sources.flatMap((s) => s.atoms)
      return { query: { from: { type: 'unionFrom', sources: sources.map((s) => s.from) } }, atoms, outer: true }
    }
    // The branches select the same fields, but not all need to have all.
    const types = random.list(1, 3, () => random.pick(['int', 'num', 'str', 'bool']))
    const queries = random.list(2, 3, () => this.select(depth + 1, types).query)
    const atoms = types.map((type, n) => ({ expr: ref(`f${n}`), type }))
    return { query: { from: { type: 'unionAll', queries } }, atoms, outer: true }
  }

  aggregate(atoms) {
    const { random } = this
    const more = this.features.has('aggregates')
    const column = this.any(atoms, 1)
    // SQL's sums of large floats that cancel out are far from right.
    const small = atoms.filter((atom) => !atom.large)
    const typed = (type) => this.of(type, type === 'num' ? small : atoms, 1)
    const names = ['count', 'count', 'sum', 'sum', 'avg', 'min', 'max']
    if (more) names.push('countDistinct', 'median', 'quantile', 'stddev', 'arrayAgg', 'first', 'last')
    const name = random.pick(names)
    switch (name) {
      case 'sum':
      case 'avg':
      case 'median': {
        const type = random.pick(['int', 'num'])
        // The sum of doubles is not to the last bit.
        return { expr: agg(name, typed(type)), type: type === 'num' ? 'approx' : name === 'sum' ? 'int' : 'num' }
      }
      case 'stddev':
        // Of integers, as our oracle knows no other exact way.
        return { expr: agg(name, typed('int')), type: 'approx' }
      case 'quantile':
        return { expr: agg(name, typed('num'), val(random.pick([0, 0.1, 0.25, 0.5, 0.9, 1]))), type: 'approx' }
      case 'count':
        return { expr: agg(name, random.chance(0.3) ? val(1) : column), type: 'int' }
      case 'countDistinct':
        return { expr: agg(name, column), type: 'int' }
      default: {
        const type = random.pick(['int', 'num', 'str', 'bool'])
        const order = ['arrayAgg', 'first', 'last'].includes(name) && random.chance(0.7)
        const by = order ? [this.any(atoms, 1), ...(random.chance(0.5) ? [val(random.pick(['asc', 'desc']))] : [])] : []
        return { expr: agg(name, typed(type), ...by), type: name === 'arrayAgg' ? 'list' : type }
      }
    }
  }

  /** `types`: those of the fields to select, in a branch of a union. */
  select(depth, types) {
    const { random } = this
    const { query, atoms, outer } = this.sources(depth)
    const where = random.list(0, random.pick([0, 1, 1, 2]), () => this.bool(atoms, 2))
    if (where.length > 0) query.where = where
    const kind = types ? 'rows' : random.pick(['rows', 'rows', 'rows', 'groups', 'groups', 'all', 'distinct'])
    let fields
    let scope = atoms // what may be ordered by
    switch (kind) {
      case 'groups':
      case 'all': {
        const kinds = ['int', 'int', 'str', 'bool', 'num']
        const keys = kind === 'all' ? [] : random.list(1, random.pick([1, 2, 3]), () => random.pick(kinds)).map((type) => {
          const expr = this.varying(
            atoms.filter((atom) => atom.type === type),
            () => this.of(type, atoms, random.chance(0.7) ? 0 : 2),
          )
          return { expr: this.settled(expr, atoms, outer), type }
        })
        if (keys.length > 0) query.groupBy = keys.map((key) => key.expr)
        const aggregates = random.list(1, 3, () => this.aggregate(atoms))
        scope = [...keys, ...aggregates.filter(exact)]
        fields = [...keys.filter(() => random.chance(0.85)), ...aggregates]
        if (random.chance(0.2)) {
          const type = random.pick(['int', 'str', 'bool'])
          fields.push({ expr: this.of(type, scope, 1), type })
        }
        if (random.chance(0.3)) query.having = [this.bool([...scope, ...selectedAtoms(named(fields, atoms))], 1)]
        break
      }
      case 'distinct':
        query.distinct = true
        fields = random.list(1, 3, () => random.pick(['int', 'str', 'bool', 'num'])).map((type) => {
          const expr = this.of(type, atoms, random.chance(0.7) ? 0 : 2)
          return { expr: this.settled(expr, atoms, outer), type }
        })
        break
      default:
        if (types) fields = types.map((type) => ({ expr: this.of(type, atoms, 1), type }))
        else if (random.chance(0.2)) fields = undefined
        else
          fields = random.list(1, 4, () => {
            const type = random.pick(['int', 'int', 'num', 'str', 'str', 'bool'])
            return { expr: this.of(type, atoms, 2), type }
          })
        if (fields && !types && this.features.has('functions') && random.chance(0.15)) {
          const expr = this.approximate(atoms)
          if (expr) fields.push({ expr, type: 'approx' })
        }
    }
    if (fields) {
      fields = named(fields, atoms)
      query.select = Object.fromEntries(fields.map((field) => [field.name, field.expr]))
      scope = query.distinct ? [] : [...scope, ...selectedAtoms(fields)]
    }
    this.window(query, scope, fields, depth)
    return { query, fields: fields ?? wholeRow(query, atoms) }
  }

  /** orderBy, limit, offset: seldom a limit in a subquery that does not order. */
  window(query, scope, fields, depth) {
    const { random } = this
    const options = () => ({
      ...(random.chance(0.7) ? { direction: random.pick(['asc', 'desc']) } : {}),
      ...(random.chance(0.5) ? { nulls: random.pick(['first', 'last']) } : {}),
    })
    const by = (expr) => ({ expression: expr, ...(random.chance(0.8) ? { compareOptions: options() } : {}) })
    const ordered = (query.distinct || scope.length > 0) && random.chance(depth > 0 ? 0.35 : 0.5)
    if (ordered) {
      // Ties of distinct rows go by keys that SQL does not have: all fields are ordered by.
      const items = query.distinct
        ? random.shuffled(selectedAtoms(fields)).map((atom) => atom.expr)
        : random.list(1, random.pick([1, 1, 2]), () => this.varying(scope, () => this.any(scope, random.chance(0.8) ? 0 : 2)))
      query.orderBy = items.map(by)
    }
    if (query.distinct && !ordered) return
    if (random.chance(ordered ? 0.6 : 0.12)) query.limit = random.pick([0, 1, 1, 2, 3, 3, 5, 8])
    if (random.chance(ordered ? 0.25 : 0.05)) query.offset = random.pick([0, 1, 1, 2, 4])
    if (random.chance(0.02)) query.singleResult = true
  }

  // Queries that people write.

  /** How many rows of one table belong to each row of another: a left join of groups. */
  countOf() {
    const { random } = this
    const [a, b, n] = ['a', 'b', 'n']
    const column = random.pick(['i', 'j', 's'])
    const key = func('coalesce', ref(b, column))
    const counts = {
      from: { type: 'collectionRef', collection: random.pick(TABLES), alias: b },
      ...(random.chance(0.5) ? { where: [this.bool(tableAtoms(b), 1)] } : {}),
      groupBy: [key],
      select: { key, count: agg('count', val(1)), sum: agg('sum', ref(b, 'j')) },
      ...(random.chance(0.3) ? { having: [func('gt', agg('count', val(1)), val(1))] } : {}),
    }
    const query = {
      from: { type: 'collectionRef', collection: random.pick(TABLES), alias: a },
      join: [{ type: 'left', from: { type: 'queryRef', query: counts, alias: n }, on: func('eq', ref(a, column), ref(n, 'key')) }],
      select: { key: ref(a, column), n: func('coalesce', ref(n, 'count'), val(0)), sum: ref(n, 'sum') },
    }
    this.window(query, [{ expr: ref(n, 'count'), type: 'int' }, { expr: ref(a, 's'), type: 'str' }], undefined, 0)
    return query
  }

  /** What can be reached over the edges from i to j, or with a counter up to a bound. */
  recursion() {
    const { random } = this
    const collection = random.pick(TABLES)
    const edges = (alias, filter) => ({
      from: { type: 'collectionRef', collection, alias },
      ...(filter ? { where: [this.bool(tableAtoms(alias), 1)] } : {}),
    })
    const counted = random.chance(0.3)
    const end = (alias, column) => func('coalesce', ref(alias, column))
    const start = {
      ...edges('e', random.chance(0.4)),
      select: { a: end('e', 'i'), b: end('e', 'j'), ...(counted ? { n: val(1) } : {}) },
    }
    const step = {
      from: { type: 'collectionRef', collection: 'reach', alias: 'r' },
      join: [{ type: 'inner', from: edges('x').from, on: func('eq', ref('r', 'b'), ref('x', 'i')) }],
      select: { a: ref('r', 'a'), b: end('x', 'j'), ...(counted ? { n: func('add', ref('r', 'n'), val(1)) } : {}) },
    }
    const where = [
      ...(counted ? [func('lt', ref('r', 'n'), val(random.between(2, 5)))] : []),
      ...(random.chance(0.3) ? [this.bool(tableAtoms('x'), 1)] : []),
    ]
    if (where.length > 0) step.where = where
    const query = {
      withRecursive: { reach: { from: { type: 'unionAll', queries: [start, step] } } },
      from: { type: 'collectionRef', collection: 'reach', alias: 'y' },
    }
    const y = ['a', 'b', ...(counted ? ['n'] : [])].map((name) => ({ expr: ref('y', name), type: 'int' }))
    switch (random.pick(['rows', 'ordered', 'groups', 'join'])) {
      case 'ordered':
        query.select = Object.fromEntries(y.map(({ expr }) => [expr.path[1], expr]))
        query.distinct = true
        query.orderBy = y.map((_, n) => ({ expression: ref('$selected', y[n].expr.path[1]) }))
        query.limit = random.between(1, 6)
        break
      case 'groups':
        query.groupBy = [ref('y', 'a')]
        query.select = { a: ref('y', 'a'), n: agg('count', val(1)), most: agg('max', ref('y', 'b')) }
        break
      case 'join':
        query.join = [{ type: random.pick(['inner', 'left', 'full']), from: { type: 'collectionRef', collection, alias: 'z' }, on: func('eq', ref('y', 'b'), ref('z', 'i')) }]
        query.select = { a: ref('y', 'a'), b: ref('y', 'b'), s: ref('z', 's') }
        break
      default:
        if (random.chance(0.5)) query.where = [this.bool(y, 1)]
    }
    return query
  }
}

const exact = ({ type }) => type !== 'approx' && type !== 'list'

/** Fields with names, and whether they are `large`: made of times, too big for products and sums of floats. */
const named = (fields, atoms) => {
  const large = atoms.filter((atom) => atom.large).map((atom) => JSON.stringify(atom.expr))
  return fields.map(({ expr, type }, n) => {
    const text = JSON.stringify(expr)
    return { expr, type, name: `f${n}`, large: large.some((part) => text.includes(part)) }
  })
}

const selectedAtoms = (fields) =>
  fields.filter(exact).map(({ name, type, large }) => ({ expr: ref('$selected', name), type, large }))

function tableAtoms(alias) {
  return Object.entries(COLUMNS).map(([name, type]) => ({ expr: ref(alias, name), type, base: true, time: name === 'd', large: name === 'd' }))
}

/** The fields of a row that no select shaped. */
function wholeRow(query, atoms) {
  const nested = query.join || query.from.type === 'unionFrom'
  return atoms.map(({ expr, type, time, large }) => ({
    name: (nested || query.from.type === 'unionAll' ? expr.path : expr.path.slice(1)).join('.'),
    type,
    time,
    large,
  }))
}
