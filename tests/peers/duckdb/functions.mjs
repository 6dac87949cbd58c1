// What each function and aggregate of docs/queries.md is in DuckDB's SQL.
//
// A rule takes translated arguments `{sql, type}` and gives the same. Types are `int`, `num` (a
// double that both engines compute to the last bit), `approx` (one they do not: it may only be
// looked at), `str`, `bool`, `list` and `null` (of the constant). Null and missing are both NULL.

/** What SQL cannot say, or says otherwise. */
export class Skip extends Error {}

const isA = (value, type) => value.type === type || value.type === 'null' || (type === 'num' && value.type === 'int')

function check(args, types, name) {
  args.forEach((arg, n) => {
    const type = types[Math.min(n, types.length - 1)]
    if (!isA(arg, type)) throw new Skip(`${name} of ${arg.type}`)
  })
}

/** The one type of several values. */
export function common(args) {
  const types = [...new Set(args.map((a) => a.type))].filter((t) => t !== 'null')
  if (types.length === 0) return 'null'
  if (types.length === 1) return types[0]
  if (types.every((t) => t === 'int' || t === 'num')) return 'num'
  throw new Skip(`types ${types.join(' and ')} together`)
}

/** A value that may be compared, ordered by, grouped by. */
export function exact(value) {
  if (value.type === 'approx' || value.type === 'list') throw new Skip(`comparing ${value.type}`)
  return value
}

/** A rule of given argument types (the last one for all further arguments) and a result type. */
const rule = (types, type, sql) => (args, name) => {
  check(args, types, name)
  return { sql: sql(...args.map((a) => a.sql)), type }
}

const compare = (operator) => ([a, b]) => {
  common([a, b].map(exact))
  return { sql: `(${a.sql} ${operator} ${b.sql})`, type: 'bool' }
}

/** Null counts as 0; integers stay integers. */
const arithmetic = (operator) => (args, name) => {
  check(args, ['num'], name)
  const [a, b] = args.map((arg) => `coalesce(${arg.sql}, 0)`)
  return { sql: `(${a} ${operator} ${b})`, type: args.every((arg) => isA(arg, 'int')) ? 'int' : 'num' }
}

/** A number from a number, of the same type. */
const numeric = (sql) => (args, name) => {
  check(args, ['num'], name)
  return { sql: sql(...args.map((a) => a.sql)), type: common(args) }
}

/** Of integers SQL makes doubles. */
const toInteger = (sql) => (args, name) => (isA(args[0], 'int') ? args[0] : numeric((a) => `${sql}(${a})`)(args, name))

/** `substring` counts from 0; from the end, but not over the start, if negative. */
function substring([text, start, length], name) {
  check([text], ['str'], name)
  check([start, length].filter(Boolean), ['int'], name)
  const from = `CASE WHEN ${start.sql} < 0 THEN greatest(length(${text.sql}) + ${start.sql}, 0) ELSE ${start.sql} END + 1`
  return { sql: `substring(${[text.sql, from, ...(length ? [length.sql] : [])].join(', ')})`, type: 'str' }
}

const constant = (expr, types, name) => {
  if (expr?.type !== 'val' || !types.includes(typeof expr.value)) throw new Skip(`${name} needs a constant`)
  return expr.value
}

const TIMES = ['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year']
const PARTS = {
  ...Object.fromEntries(['year', 'quarter', 'month', 'week', 'day', 'hour', 'minute', 'second'].map((p) => [p, p])),
  dayOfWeek: 'isodow',
  dayOfYear: 'doy',
}
const time = (t) => `make_timestamp(${t} * 1000)`

function unit(value, name, more = []) {
  if (![...TIMES, ...more].includes(value)) throw new Skip(`${name} by ${value}`)
  return value
}

/** By name; `exprs` are the untranslated arguments, for what must be constant. */
export const FUNCTIONS = {
  eq: compare('='),
  gt: compare('>'),
  gte: compare('>='),
  lt: compare('<'),
  lte: compare('<='),
  and: rule(['bool'], 'bool', (...args) => `(${args.join(' AND ')})`),
  or: rule(['bool'], 'bool', (...args) => `(${args.join(' OR ')})`),
  not: rule(['bool'], 'bool', (a) => `(NOT ${a})`),
  like: rule(['str'], 'bool', (s, p) => `(${s} LIKE ${p})`),
  ilike: rule(['str'], 'bool', (s, p) => `(lower(${s}) LIKE lower(${p}))`),
  upper: rule(['str'], 'str', (s) => `upper(${s})`),
  lower: rule(['str'], 'str', (s) => `lower(${s})`),
  length: rule(['str'], 'int', (s) => `coalesce(length(${s}), 0)`),
  concat(args) {
    // Doubles are left out: 2.0 is "2" with us and "2.0" in SQL.
    if (!args.every((a) => ['str', 'int', 'bool'].some((type) => isA(a, type)))) throw new Skip('concat of doubles')
    return { sql: `concat(${args.map((a) => a.sql).join(', ')})`, type: 'str' }
  },
  coalesce: (args) => ({ sql: `coalesce(${args.map((a) => a.sql).join(', ')})`, type: common(args) }),
  caseWhen(args, name) {
    const branches = []
    const values = []
    for (let n = 0; n + 1 < args.length; n += 2) {
      check([args[n]], ['bool'], name)
      values.push(args[n + 1])
      branches.push(`WHEN ${args[n].sql} THEN ${args[n + 1].sql}`)
    }
    const last = args.length % 2 === 1 ? args.at(-1) : { sql: 'NULL', type: 'null' }
    return { sql: `CASE ${branches.join(' ')} ELSE ${last.sql} END`, type: common([...values, last]) }
  },
  add: arithmetic('+'),
  subtract: arithmetic('-'),
  multiply: arithmetic('*'),
  divide: rule(['num'], 'num', (a, b) => `(coalesce(${a}, 0)::DOUBLE / nullif(coalesce(${b}, 0), 0))`),
  abs: numeric((a) => `abs(${a})`),
  floor: toInteger('floor'),
  ceil: toInteger('ceil'),
  round([value, digits], name, exprs) {
    check([value], ['num'], name)
    if (!digits) return { sql: `round(${value.sql})`, type: value.type }
    // Only of stored values: those are quarters, of which the decimal half is exact.
    if (exprs[0].type !== 'ref') throw new Skip('rounding of what is not decimal')
    return { sql: `round(${value.sql}, ${constant(exprs[1], ['number'], name)})`, type: 'approx' }
  },
  mod: numeric((a, b) => `(${a} % nullif(${b}, 0))`),
  power: rule(['num'], 'approx', (a, b) => `CASE WHEN isfinite(pow(${a}, ${b})) THEN pow(${a}, ${b}) END`),
  trim: rule(['str'], 'str', (s) => `trim(${s})`),
  substring,
  replace(args, name, exprs) {
    if (constant(exprs[1], ['string'], name) === '') throw new Skip('replacing nothing')
    return rule(['str'], 'str', (s, find, put) => `replace(${s}, ${find}, ${put})`)(args, name)
  },
  startsWith: rule(['str'], 'bool', (s, t) => `starts_with(${s}, ${t})`),
  endsWith: rule(['str'], 'bool', (s, t) => `ends_with(${s}, ${t})`),
  dateTrunc([, t], name, exprs) {
    check([t], ['int'], name)
    const by = unit(constant(exprs[0], ['string'], name), name)
    return { sql: `epoch_ms(date_trunc('${by}', ${time(t.sql)})::TIMESTAMP)`, type: 'int' }
  },
  dateExtract([, t], name, exprs) {
    check([t], ['int'], name)
    const part = constant(exprs[0], ['string'], name)
    // SQL's milliseconds count the seconds too, and are the whole minute's.
    if (part === 'millisecond') return { sql: `(date_part('millisecond', ${time(t.sql)}) % 1000)`, type: 'int' }
    if (!(part in PARTS)) throw new Skip(`${name} of ${part}`)
    return { sql: `date_part('${PARTS[part]}', ${time(t.sql)})`, type: 'int' }
  },
  dateAdd([, n, t], name, exprs) {
    check([n, t], ['int'], name)
    const by = unit(constant(exprs[0], ['string'], name), name, ['millisecond'])
    return { sql: `epoch_ms(${time(t.sql)} + ${n.sql} * INTERVAL 1 ${by})`, type: 'int' }
  },
  dateDiff([, from, to], name, exprs) {
    check([from, to], ['int'], name)
    const by = unit(constant(exprs[0], ['string'], name), name, ['millisecond'])
    // At the ends of months engines differ in what a whole month is.
    const months = ['month', 'quarter', 'year'].includes(by)
    const truncated = (e) => e.name === 'dateTrunc' && ['month', 'quarter', 'year'].includes(e.args[0].value)
    if (months && !(truncated(exprs[1]) && truncated(exprs[2]))) throw new Skip('ends of months')
    return { sql: `datesub('${by}', ${time(from.sql)}, ${time(to.sql)})`, type: 'int' }
  },
}

const plain = (sql, type) => ([value]) => ({ sql: sql(value.sql), type: type ?? value.type })

const average = (sql) => ([value], name) => {
  check([value], ['num'], name)
  return { sql: sql(value.sql), type: value.type === 'int' ? 'num' : 'approx' }
}

const approximate = (sql) => ([value], name) => {
  check([value], ['num'], name)
  return { sql: sql(value.sql), type: 'approx' }
}

/** Values in an order, then by row key; nulls first in either direction. `keys` are the row's. */
const ordered = (sql, type) => ([value, order], name, exprs, keys) => {
  const direction = exprs[2] ? constant(exprs[2], ['string'], name) : 'asc'
  const by = [
    ...(order ? [`${exact(order).sql} ${direction} NULLS FIRST`] : []),
    ...keys.map((key) => `${key} NULLS FIRST`),
  ]
  return {
    sql: sql(value.sql, `ORDER BY ${by.join(', ')}`, `FILTER (WHERE ${value.sql} IS NOT NULL)`),
    type: type ?? value.type,
  }
}

export const AGGREGATES = {
  count: plain((x) => `count(${x})`, 'int'),
  countDistinct: (args) => plain((x) => `count(DISTINCT ${x})`, 'int')(args.map(exact)),
  sum([value], name) {
    check([value], ['num'], name)
    // Ours is correctly rounded, SQL's is not.
    return { sql: `coalesce(sum(${value.sql}), 0)`, type: value.type === 'num' ? 'approx' : 'int' }
  },
  avg: average((x) => `avg(${x})`),
  median: average((x) => `median(${x})`),
  stddev: approximate((x) => `stddev_samp(${x})`),
  quantile: ([value], name, exprs) =>
    approximate((x) => `quantile_cont(${x}, ${constant(exprs[1], ['number'], name)})`)([value], name),
  min: (args) => plain((x) => `min(${x})`)(args.map(exact)),
  max: (args) => plain((x) => `max(${x})`)(args.map(exact)),
  arrayAgg: ordered((x, order, filter) => `coalesce(list(${x} ${order}) ${filter}, [])`, 'list'),
  first: ordered((x, order, filter) => `first(${x} ${order}) ${filter}`),
  last: ordered((x, order, filter) => `last(${x} ${order}) ${filter}`),
}
