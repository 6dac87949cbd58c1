// Values as text, shapes from views and from guesses, orders of rows, points of charts, figures.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import {
  dayAndTime, duration, formatValue, plain, prettyJson, rate, settings, words,
} from '../../../src/server/dashboard/format.js'
import { compareValues, Order } from '../../../src/server/dashboard/panels/order.js'
import { pointsOf } from '../../../src/server/dashboard/panels/points.js'
import { fieldOf, sampled, shapeOf } from '../../../src/server/dashboard/shape.js'
import { Latency, Meter } from '../../../src/server/dashboard/stats.js'

beforeEach(() => Object.assign(settings, { locale: 'en-US', utcOffsetMinutes: -240 }))
afterEach(() => Object.assign(settings, { locale: undefined, utcOffsetMinutes: undefined }))

test('values of every format', () => {
  const nine = '2013-05-23T09:05:00-04:00'
  const cases = [
    [undefined, {}, ''],
    [null, { format: 'integer' }, '–'],
    [1234, { format: 'integer' }, '1234'],
    [12345.6, { format: 'integer' }, '12,346'],
    [-3, { format: 'integer' }, '−3'],
    [2.345, { format: 'decimal' }, '2.3'],
    [2.345, { format: 'decimal', decimals: 2, unit: 'mi' }, '2.35\u202fmi'],
    [0.5625, { format: 'percent' }, '56%'],
    [0.5625, { format: 'percent', decimals: 1 }, '56.3%'],
    [0, { format: 'minutes' }, '0m'],
    [-0.4, { format: 'minutes' }, '0m'],
    [45.4, { format: 'minutes' }, '45m'],
    [45.4, { format: 'minutes', decimals: 1 }, '45.4m'],
    [448, { format: 'minutes' }, '7h 28m'],
    [-65, { format: 'minutes' }, '−1h 05m'],
    [59.7, { format: 'minutes', sign: true }, '+1h 00m'],
    [nine, { format: 'time' }, '09:05'],
    [nine, { format: 'date' }, '23 May 2013'],
    [nine, { format: 'datetime' }, '23 May 09:05'],
    [nine, {}, '23 May 09:05'],
    [nine, { format: 'text' }, nine],
    ['2013-05-23T13:05:00Z', { format: 'time' }, '09:05'],
    [Date.parse(nine), { format: 'time' }, '09:05'],
    ['2013-05-23', {}, '23 May 2013'],
    ['no time', { format: 'time' }, 'no time'],
    [1e300, { format: 'time' }, '–'],
    [2005, { format: 'text' }, '2005'],
    [1999.376, { format: 'text', decimals: 0 }, '1999'],
    [999, { format: 'bytes' }, '999\u202fB'],
    [1_234_567, { format: 'bytes' }, '1.2\u202fMB'],
    [999_999, { format: 'bytes' }, '1\u202fMB'],
    [0.0123456, {}, '0.0123'],
    [1234.5678, {}, '1234.57'],
    [1e21, {}, '1e21'],
    [9007199254740991, {}, '9.007e15'],
    [true, {}, 'true'],
    [{ a: [1, null] }, {}, '{"a":[1,null]}'],
    ['<b>&amp;</b>', {}, '<b>&amp;</b>'],
    ['', {}, ''],
  ]
  for (const [value, column, text] of cases) assert.equal(formatValue(value, column), text, JSON.stringify([value, column]))
  assert.equal(formatValue('x'.repeat(5000)).length, 2001)
})

test('figures, names and searches', () => {
  assert.deepEqual([0, 0.42, 9.96, 12.4, 12345].map(rate), ['0', '0.4', '10', '12', '12,345'])
  assert.deepEqual([0.84, 12.3, 999.6, 1500].map(duration), ['0.8\u202fms', '12\u202fms', '1\u202fs', '1.5\u202fs'])
  assert.equal(dayAndTime(Date.parse('2013-05-23T15:42:10-04:00')), 'Thu 23 May 15:42')
  assert.deepEqual(['averageDelay', 'arrivals-by-airport', 'a', '--'].map(words), ['Average delay', 'Arrivals by airport', 'A', '--'])
  assert.equal(plain('Zürich ÇA'), 'zurich ca')
})

test('JSON for people is the same JSON', () => {
  const value = { from: { type: 'ref', path: ['a', 'b'] }, args: Array.from({ length: 30 }, (_, index) => ({ index })), none: {}, text: '"\n' }
  const text = prettyJson(value)
  assert.deepEqual(JSON.parse(text), value)
  assert.match(text, /"from": \{ "type": "ref", "path": \["a", "b"\] \}/)
  assert.ok(text.split('\n').every(line => line.length <= 110))
})

const rowsOf = values => values.map((value, index) => ({ key: String(index), value }))

test('a shape comes from the view, and from guesses where it is silent or wrong', () => {
  const total = { select: { n: { type: 'func', args: [{ type: 'agg', name: 'count' }] } } }
  assert.equal(shapeOf({ name: 'q', query: total, columns: ['n'] }).kind, 'number')
  assert.equal(shapeOf({ name: 'q', query: { ...total, groupBy: [{}] }, columns: ['n'] }).kind, 'table')
  assert.equal(shapeOf({ name: 'q', query: total }, { chart: 'bars' }).kind, 'bars')
  const odd = shapeOf({ name: 'my-query', query: { limit: 3 }, columns: ['a'] }, { chart: 'pie', title: 7, columns: [null, 1, {}] })
  assert.deepEqual([odd.kind, odd.title, odd.columns.map(column => column.field), odd.limit], ['table', 'My query', ['a'], 3])
  const unknown = shapeOf({ name: 'q', query: {} })
  assert.equal(unknown.columns, null)
  const guessed = sampled(unknown, rowsOf([{ a: null, at: 'x' }, { a: 2, lastMs: 1369381380000, b: [1] }]))
  assert.deepEqual(guessed.columns.map(({ field, align, format }) => [field, align, format]), [
    ['a', 'right', undefined], ['at', 'left', undefined], ['lastMs', 'left', 'datetime'], ['b', 'left', undefined],
  ])
  assert.deepEqual(sampled(unknown, rowsOf([1, 2])).columns.map(column => column.field), ['value'])
})

test('fields are names first, paths second, and never inherited', () => {
  assert.equal(fieldOf({ 'a.b': 1, a: { b: 2 } }, 'a.b'), 1)
  assert.equal(fieldOf({ a: { b: 2 } }, 'a.b'), 2)
  assert.equal(fieldOf({ a: [1] }, 'a.length'), undefined)
  assert.equal(fieldOf({}, 'toString'), undefined)
  assert.equal(fieldOf(null, 'value'), null)
  assert.equal(fieldOf('x', 'a'), undefined)
})

test('tables are searched without case and accents, and sorted with gaps last', () => {
  const shape = sampled(shapeOf({ name: 'q', query: {} }), rowsOf([{ a: 1, b: '' }]))
  const order = new Order(shape.columns)
  const all = rowsOf([{ a: 10, b: 'Zürich' }, { a: 9, b: 'Zug' }, { b: 'Bern' }, { a: null, b: 'Basel' }])
  const names = () => [...order.rows(all).rows].map(row => row.value.b)
  assert.equal(order.rows(all).rows, all)
  order.search = ' ZUR'
  assert.deepEqual(names(), ['Zürich'])
  order.search = ''
  order.sort = { column: shape.columns[0], descending: false }
  assert.deepEqual(names(), ['Zug', 'Zürich', 'Bern', 'Basel'])
  order.sort = { column: shape.columns[0], descending: true }
  assert.deepEqual(names(), ['Zürich', 'Zug', 'Bern', 'Basel'])
  const mixed = ['b10', 2, null, true, 'b9', undefined, { a: 1 }, 1]
  assert.deepEqual(mixed.toSorted((a, b) => compareValues(a, b)), [true, 1, 2, 'b9', 'b10', { a: 1 }, null, undefined])
})

const lineOf = (view, values) => pointsOf(sampled(shapeOf({ name: 'q', query: {} }, { chart: 'line', ...view }), rowsOf(values)), rowsOf(values))

test('points of a chart: numbers, times, categories, series', () => {
  const numbers = lineOf({ x: 'h' }, [{ h: 2, a: 1, b: null }, { h: 1, a: 3, b: 5 }])
  assert.deepEqual([numbers.kind, numbers.xs, numbers.lines.map(line => line.values)], ['number', [1, 2], [[3, 1], [5, null]]])
  const times = lineOf({ x: 't', value: 'v' }, [{ t: '2013-05-23T09:05:00-04:00', v: 1 }, { t: null, v: 2 }])
  assert.deepEqual([times.kind, times.xs, times.label(times.xs[0])], ['time', [1369314300], '23 May 09:05'])
  const categories = lineOf({ x: 'd', value: 'v' }, [{ d: 'Tue', v: 1 }, { d: 'Mon', v: 2 }])
  assert.deepEqual([categories.kind, categories.xs.map(categories.label)], ['category', ['Tue', 'Mon']])
  const series = lineOf({ x: 'h', value: 'v', series: 's' }, [{ h: 1, s: 'p', v: 1 }, { h: 1, s: 'q', v: 2 }, { h: 2, s: 'q', v: 3 }])
  assert.deepEqual(series.lines.map(({ name, values }) => [name, values]), [['p', [1, null]], ['q', [2, 3]]])
  assert.deepEqual(lineOf({ x: 'h', value: 'v' }, []).xs, [])
  assert.deepEqual([numbers, times, categories].map(points => points.isWhole), [true, false, true])
  assert.equal(numbers.rowAt.get(2).value.a, 1)
})

test('changes a second are those of the last five, and fade', () => {
  const meter = new Meter()
  meter.add(10, 1000)
  meter.add(40, 2500)
  assert.equal(meter.perSecond(2600), 10)
  assert.equal(meter.perSecond(6000), 8)
  assert.equal(meter.perSecond(7000), 0)
  meter.add(5, 1e9)
  assert.equal(meter.perSecond(1e9), 1)
})

test('latency is the median from arrival to paint', () => {
  const latency = new Latency()
  assert.equal(latency.median(), null)
  for (const at of [0, 10, 95]) latency.arrived(at)
  latency.painted(100)
  assert.equal(latency.median(), 90)
  latency.arrived(0)
  latency.forget()
  latency.painted(9000)
  assert.equal(latency.median(), 90)
  const ahead = new Latency()
  ahead.arrived(200)
  ahead.painted(100)
  assert.equal(ahead.median(), null)
})
