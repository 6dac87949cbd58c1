// Random expressions in query JSON, typed as functions.mjs says.

import { constant } from './history.mjs'

export const ref = (...path) => ({ type: 'ref', path })
export const val = (value) => ({ type: 'val', value })
export const func = (name, ...args) => ({ type: 'func', name, args })

export const COMPARISONS = ['eq', 'gt', 'gte', 'lt', 'lte']
const PATTERNS = ['%', 'a%', '%b', '_', '%a%', 'A%', '', 'a\\%b', '_b%']

export class Expressions {
  /** `absent` as in history.mjs; `features`: of `functions`, `dates`, `aggregates`, `unions`, `recursion`. */
  constructor(random, absent, features) {
    this.random = random
    this.absent = absent
    this.features = new Set(features)
  }

  // Expressions over `atoms`: a list of {expr, type, base?}, `base` for columns of collections.

  of(type, atoms, depth) {
    const fits = atoms.filter((atom) => atom.type === type || (type === 'num' && atom.type === 'int'))
    if (depth <= 0 || this.random.chance(0.35)) {
      if (fits.length > 0 && this.random.chance(0.8)) return this.random.pick(fits).expr
      return this.random.chance(0.04) ? val(null) : val(constant(this.random, type))
    }
    return this[type](atoms, depth - 1)
  }

  any(atoms, depth = 2) {
    return this.of(this.random.pick(['int', 'int', 'num', 'str', 'str', 'bool']), atoms, depth)
  }

  /** What SQL takes for an order or a group: not a constant. */
  varying(atoms, make) {
    for (let tries = 0; tries < 4; tries++) {
      const expr = make()
      if (expr.type !== 'val') return expr
    }
    return atoms.length > 0 ? this.random.pick(atoms).expr : make()
  }

  bool(atoms, depth) {
    const { random } = this
    const of = (type) => this.of(type, atoms, depth)
    switch (random.pick(['compare', 'compare', 'compare', 'and', 'or', 'not', 'in', 'like', 'nullish', 'caseWhen', 'coalesce', 'starts'])) {
      case 'compare': {
        const type = random.pick(['int', 'int', 'num', 'str', 'bool'])
        return func(random.pick(COMPARISONS), of(type), of(type === 'int' && random.chance(0.3) ? 'num' : type))
      }
      case 'and':
        return func('and', ...random.list(2, 3, () => of('bool')))
      case 'or':
        return func('or', ...random.list(2, 3, () => of('bool')))
      case 'not':
        return func('not', of('bool'))
      case 'in': {
        const type = random.pick(['int', 'num', 'str'])
        const items = random.list(0, 4, () => (random.chance(0.15) ? null : constant(random, type)))
        return func('in', of(type), val(items))
      }
      case 'like':
        return func(random.pick(['like', 'like', 'ilike']), of('str'), random.chance(0.9) ? val(random.pick(PATTERNS)) : of('str'))
      case 'nullish': {
        const tested = this.any(atoms, depth)
        return func('or', func('isNull', tested), func('isUndefined', tested))
      }
      case 'starts':
        if (!this.features.has('functions')) return of('bool')
        return func(random.pick(['startsWith', 'endsWith']), of('str'), of('str'))
      default:
        return this.choice('bool', atoms, depth)
    }
  }

  /** `coalesce` or `caseWhen` of a type. */
  choice(type, atoms, depth) {
    const of = (type) => this.of(type, atoms, depth)
    if (this.random.chance(0.5)) return func('coalesce', ...this.random.list(1, 3, () => of(type)))
    const branches = this.random.list(1, 2, () => [of('bool'), of(type)]).flat()
    return func('caseWhen', ...branches, ...(this.random.chance(0.7) ? [of(type)] : []))
  }

  int(atoms, depth) {
    const { random } = this
    const of = (type) => this.of(type, atoms, depth)
    const kinds = ['arithmetic', 'arithmetic', 'length', 'choice']
    if (this.features.has('functions')) kinds.push('rounding', 'mod')
    if (this.features.has('dates')) kinds.push('date', 'date')
    switch (random.pick(kinds)) {
      case 'arithmetic':
        return this.arithmetic('int', atoms, depth)
      case 'length':
        return func('length', of('str'))
      case 'rounding':
        return func(random.pick(['abs', 'floor', 'ceil', 'round']), of('int'))
      case 'mod':
        return func('mod', of('int'), of('int'))
      case 'date':
        return this.date(atoms, depth)
      default:
        return this.choice('int', atoms, depth)
    }
  }

  /** Factors are atoms or constants, so that numbers stay small. */
  arithmetic(type, atoms, depth) {
    const name = this.random.pick(['add', 'subtract', 'multiply'])
    const small = atoms.filter((atom) => !atom.large)
    const below = name === 'multiply' ? 0 : depth
    return func(name, this.of(type, small, below), this.of(type, small, below))
  }

  num(atoms, depth) {
    const { random } = this
    const of = (type) => this.of(type, atoms, depth)
    const kinds = ['arithmetic', 'divide', 'choice']
    if (this.features.has('functions')) kinds.push('rounding', 'mod')
    switch (random.pick(kinds)) {
      case 'arithmetic':
        return this.arithmetic('num', atoms, depth)
      case 'divide':
        return func('divide', of('num'), of('num'))
      case 'rounding':
        return func(random.pick(['abs', 'floor', 'ceil', 'round']), of('num'))
      case 'mod':
        return func('mod', of('num'), of('num'))
      default:
        return this.choice('num', atoms, depth)
    }
  }

  str(atoms, depth) {
    const { random } = this
    const of = (type) => this.of(type, atoms, depth)
    const kinds = ['case', 'concat', 'choice']
    if (this.features.has('functions')) kinds.push('trim', 'substring', 'replace')
    switch (random.pick(kinds)) {
      case 'case':
        return func(random.pick(['upper', 'lower']), of('str'))
      case 'concat':
        return func('concat', ...random.list(1, 3, () => of(random.pick(['str', 'str', 'int', 'bool']))))
      case 'trim':
        return func('trim', of('str'))
      case 'substring':
        return func('substring', of('str'), val(random.between(-3, 3)), ...(random.chance(0.6) ? [val(random.between(0, 3))] : []))
      case 'replace':
        return func('replace', of('str'), val(random.pick(['a', 'b', '%', 'ab'])), of('str'))
      default:
        return this.choice('str', atoms, depth)
    }
  }

  date(atoms, depth) {
    const { random } = this
    const times = atoms.filter((atom) => atom.time).map((atom) => atom.expr)
    if (times.length === 0) return this.of('int', atoms, 0)
    const units = ['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year']
    const unit = val(random.pick(units))
    const time = () => {
      const t = random.pick(times)
      return random.chance(0.3) ? func('dateTrunc', val(random.pick(units)), t) : t
    }
    switch (random.pick(['dateTrunc', 'dateExtract', 'dateAdd', 'dateDiff'])) {
      case 'dateTrunc':
        return func('dateTrunc', unit, random.pick(times))
      case 'dateExtract': {
        const parts = ['year', 'quarter', 'month', 'week', 'day', 'dayOfWeek', 'dayOfYear', 'hour', 'minute', 'second', 'millisecond']
        return func('dateExtract', val(random.pick(parts)), time())
      }
      case 'dateAdd':
        return func('dateAdd', unit, val(random.between(-14, 14)), time())
      default: {
        const months = ['month', 'quarter', 'year'].includes(unit.value)
        const end = () => (months ? func('dateTrunc', val(random.pick(['month', 'quarter', 'year'])), random.pick(times)) : time())
        return func('dateDiff', unit, end(), end())
      }
    }
  }

  /** Values that may only be looked at: neither ordered nor grouped by. */
  approximate(atoms) {
    const column = this.random.pick(atoms.filter((a) => a.type === 'num' && a.base) ?? [])
    if (!column) return undefined
    return this.random.chance(0.5)
      ? func('round', column.expr, val(this.random.between(-1, 2)))
      : func('power', column.expr, val(this.random.between(-2, 3)))
  }

  /**
   * An expression whose absence is always null or always missing, as groups and distinct rows tell
   * the two apart and SQL does not.
   */
  settled(expr, atoms, outer) {
    const base = expr.type === 'ref' && atoms.some((atom) => atom.base && atom.expr === expr)
    const passes = ['caseWhen', 'upper', 'lower']
    const settled = expr.type === 'func' ? !passes.includes(expr.name) : expr.type === 'val' || (base && (this.absent === 'missing' || (this.absent === 'null' && !outer)))
    return settled && this.random.chance(0.9) ? expr : func('coalesce', expr)
  }
}
