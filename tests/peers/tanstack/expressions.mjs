// Random expressions of a kind over the fields in scope.

import { value } from './data.mjs'

export const ref = path => ({ type: 'ref', path })
export const val = constant => ({ type: 'val', value: constant })
export const func = (name, ...args) => ({ type: 'func', name, args })
export const agg = (name, arg) => ({ type: 'agg', name, args: [arg] })

/** Kinds that order and compare the same here and there. */
export const PLAIN = ['num', 'str', 'bool', 'key']

export class Expressions {
  /** `fields`: what can be referred to, as `{path, kind}`. */
  constructor(random, fields) {
    this.random = random
    this.fields = fields
  }

  some(kinds) {
    const found = this.fields.filter(field => kinds.includes(field.kind))
    return found.length ? this.random.pick(found) : undefined
  }

  field(...kinds) {
    const found = this.some(kinds)
    return found && ref(found.path)
  }

  constant(kind) {
    return val(this.random.chance(3) ? null : value(this.random, kind))
  }

  leaf(kind) {
    const kinds = kind === 'str' ? ['str', 'key'] : [kind]
    return (this.random.chance(85) && this.field(...kinds)) || this.constant(kind)
  }

  of(kind, depth = 2) {
    switch (kind) {
      case 'num':
        return this.number(depth)
      case 'str':
        return this.text(depth)
      case 'bool':
        return this.random.chance(50) ? this.leaf('bool') : this.condition(depth)
    }
    return this.leaf(kind)
  }

  choice(kind, depth) {
    const { random } = this
    if (random.chance(50)) return func('coalesce', ...random.some(random.between(1, 2), () => this.of(kind, depth)), this.leaf(kind))
    const pairs = random.some(random.between(1, 2), () => [this.condition(depth), this.of(kind, depth)]).flat()
    return func('caseWhen', ...pairs, ...(random.chance(70) ? [this.of(kind, depth)] : []))
  }

  number(depth) {
    const { random } = this
    if (depth === 0 || random.chance(45)) return this.leaf('num')
    switch (random.below(6)) {
      case 0:
        return this.choice('num', depth - 1)
      case 1:
        return func('length', this.field('arr', 'str', 'key', 'obj', 'num') ?? this.constant('str'))
      case 2:
        // Only halves and quarters stay exact.
        return func('divide', this.number(depth - 1), random.chance(70) ? val(random.pick([1, 2, 4, 0])) : func('multiply', val(0), this.leaf('num')))
    }
    return func(random.pick(['add', 'subtract', 'multiply']), this.number(depth - 1), this.number(depth - 1))
  }

  text(depth) {
    const { random } = this
    if (depth === 0 || random.chance(45)) return this.leaf('str')
    switch (random.below(4)) {
      case 0:
        return this.choice('str', depth - 1)
      case 1:
        return func(random.pick(['upper', 'lower']), this.text(depth - 1))
      case 2:
        return this.date(depth - 1)
    }
    const part = () => this.of(random.pick(['str', 'str', 'num', 'bool']), depth - 1)
    return func('concat', ...random.some(random.between(1, 3), part))
  }

  /** A time as text, in the formats that TanStack knows. */
  date(depth) {
    const { random } = this
    const time = (random.chance(80) && this.field('time')) || this.number(depth)
    const name = random.pick(['date', 'datetime', 'strftime'])
    return name === 'strftime' ? func(name, val(random.pick(['%Y-%m-%d', '%Y-%m-%dT%H:%M:%fZ'])), time) : func(name, time)
  }

  /** What JavaScript converts: a value of any kind, which cannot be ordered. */
  wild() {
    const { random } = this
    const kinds = ['wild', 'wild', 'wild', 'num', 'str', 'bool', 'time']
    const value = () => (random.chance(80) && this.field(random.pick(kinds))) || this.constant('wild')
    const name = random.pick(['concat', 'add', 'subtract', 'multiply', 'divide', 'upper', 'length', 'coalesce', 'caseWhen', 'like', 'eq', 'gt', 'lte', 'in', 'and', 'not', 'isNull'])
    switch (name) {
      case 'upper':
      case 'length':
      case 'isNull':
      case 'not':
        return func(name, value())
      case 'like':
        return func(name, value(), val(random.pick(['1%', '%', 't%'])))
      case 'in':
        return func(name, value(), val(random.some(3, () => this.constant('wild').value)))
      case 'caseWhen':
        return func(name, value(), value(), value())
    }
    return func(name, value(), value())
  }

  condition(depth = 2) {
    const { random } = this
    if (depth > 0 && random.chance(30)) {
      if (random.chance(25)) return func('not', this.condition(depth - 1))
      return func(random.pick(['and', 'or']), ...random.some(random.between(2, 3), () => this.condition(depth - 1)))
    }
    const down = Math.max(depth - 1, 0)
    const kind = random.pick(['num', 'num', 'str', 'str', 'key', 'bool'])
    switch (random.below(12)) {
      case 0:
        return this.field('bool') ?? val(true)
      case 1: {
        const any = this.field('num', 'str', 'bool', 'time', 'arr', 'obj', 'key', 'row')
        return any ? func(random.pick(['isNull', 'isUndefined']), any) : val(true)
      }
      case 2:
      case 3:
        return func(random.pick(['like', 'ilike']), this.of('str', down), random.chance(80) ? val(random.pick(['x%', '%1%', '_', '%E%', 'a%b', '%', '', '1_'])) : this.leaf('str'))
      case 4:
        return func('in', this.of(kind, down), val(random.some(random.between(0, 3), () => (random.chance(8) ? null : value(random, kind)))))
      case 5: {
        const array = this.field('arr')
        if (array) return func('in', this.leaf(random.pick(['num', 'str'])), array)
      }
    }
    const other = random.chance(92) ? kind : random.pick(PLAIN)
    return func(random.pick(['eq', 'eq', 'gt', 'gte', 'lt', 'lte']), this.of(kind, down), this.leaf(other))
  }
}
