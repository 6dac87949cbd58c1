// The fold over a result's stream, against a naive model, under random histories.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fold, OutOfStep, Result, sortKey, compareKeys } from '../../../src/server/dashboard/results.js'
import { Sequence } from '../../../src/server/dashboard/sequence.js'

/** Random numbers that a seed repeats. */
function random(seed) {
  let state = seed * 2654435761 + 1
  const next = () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
  return { below: most => Math.floor(next() * most), chance: share => next() < share }
}

/** A result that is sorted anew each time, and says what changed as the server does. */
class Model {
  rows = new Map()
  order = []

  constructor(name, isOrdered) {
    this.name = name
    this.isOrdered = isOrdered
  }

  sorted() {
    const rows = [...this.rows].map(([key, value]) => ({ key, value }))
    if (this.isOrdered) rows.sort((a, b) => a.value.rank - b.value.rank || (a.key < b.key ? -1 : 1))
    else rows.sort((a, b) => (a.key < b.key ? -1 : 1))
    return rows
  }

  epoch(number, pick) {
    const before = new Map(this.order.map((key, index) => [key, index]))
    const touched = new Set()
    for (let change = pick.below(8); change >= 0; change--) {
      const key = `key ${pick.below(40)}`
      touched.add(key)
      if (pick.chance(0.35)) this.rows.delete(key)
      else this.rows.set(key, { rank: pick.below(10), number })
    }
    const rows = this.sorted()
    this.order = rows.map(row => row.key)
    const after = new Map(this.order.map((key, index) => [key, index]))
    const messages = []
    for (const key of touched) {
      const [was, is] = [before.has(key), after.has(key)]
      if (!was && !is) continue
      const operation = !was ? 'insert' : is ? 'update' : 'delete'
      const headers = { operation, epoch: number }
      if (this.isOrdered && was) headers.previousIndex = before.get(key)
      if (this.isOrdered && is) headers.index = after.get(key)
      messages.push({ type: this.name, key, ...(is && { value: this.rows.get(key) }), headers })
    }
    return messages
  }

  snapshot(number) {
    const control = word => ({ type: this.name, headers: { control: word } })
    const rows = this.sorted().map(({ key, value }, index) => ({
      type: this.name, key, value, headers: { operation: 'insert', epoch: number, ...(this.isOrdered && { index }) },
    }))
    return [control('snapshot-start'), ...rows, control('snapshot-end')]
  }
}

const plainRows = result => [...result.rows].map(({ key, value }) => ({ key, value }))

for (const isOrdered of [true, false]) {
  test(`histories of ${isOrdered ? 'ordered' : 'unordered'} results come out as the model`, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const pick = random(seed)
      const models = ['a', 'b'].map(name => new Model(name, isOrdered))
      const results = new Map(models.map(({ name }) => [name, new Result({ ordered: isOrdered })]))
      fold(results, models.flatMap(model => model.snapshot(0)))
      for (let number = 1; number <= 60; ) {
        // An answer holds some epochs, of both queries.
        const answer = []
        const counts = new Map()
        for (let more = pick.below(4); more >= 0; more--, number++) {
          for (const model of models) {
            const messages = model.epoch(number, pick)
            answer.push(...messages)
            if (messages.length) counts.set(model.name, (counts.get(model.name) ?? 0) + messages.length)
          }
        }
        if (pick.chance(0.05)) answer.push(...models[0].snapshot(number))
        const changes = fold(results, answer)
        for (const [name, count] of counts) assert.equal(changes.get(name), count)
        for (const model of models) assert.deepEqual(plainRows(results.get(model.name)), model.sorted(), `seed ${seed}, epoch ${number}`)
      }
    }
  })
}

const insert = (key, index, epoch = 1) => ({ type: 'q', key, value: { key }, headers: { operation: 'insert', epoch, index } })
const control = word => ({ type: 'q', headers: { control: word } })

test('rows stay as they are until a new snapshot is whole', () => {
  const result = new Result({ ordered: true })
  const results = new Map([['q', result]])
  fold(results, [control('snapshot-start'), insert('a', 0), control('snapshot-end')])
  fold(results, [control('snapshot-start'), insert('b', 0)])
  assert.deepEqual(plainRows(result).map(row => row.key), ['a'])
  fold(results, [insert('c', 1), control('snapshot-end')])
  assert.deepEqual(plainRows(result).map(row => row.key), ['b', 'c'])
  assert.equal(result.takeTouched().replaced, true)
})

test('a place where another row is, or none can be, is an error and not a guess', () => {
  const start = () => {
    const results = new Map([['q', new Result({ ordered: true })]])
    fold(results, [control('snapshot-start'), insert('a', 0), insert('b', 1), control('snapshot-end')])
    return results
  }
  const wrong = { type: 'q', key: 'b', headers: { operation: 'delete', epoch: 2, previousIndex: 0 } }
  assert.throws(() => fold(start(), [wrong]), OutOfStep)
  assert.throws(() => fold(start(), [insert('c', 5, 2)]), OutOfStep)
  assert.throws(() => fold(start(), [{ ...insert('c', 0, 2), headers: { operation: 'insert', epoch: 2 } }]), OutOfStep)
})

test('what changed is told by key, once', () => {
  const result = new Result({ ordered: true })
  const results = new Map([['q', result]])
  fold(results, [control('snapshot-start'), insert('a', 0), insert('b', 1), control('snapshot-end')])
  result.takeTouched()
  fold(results, [
    insert('c', 2, 2),
    { type: 'q', key: 'c', value: {}, headers: { operation: 'update', epoch: 3, index: 2, previousIndex: 2 } },
    { type: 'q', key: 'a', value: {}, headers: { operation: 'update', epoch: 3, index: 0, previousIndex: 0 } },
    { type: 'q', key: 'b', headers: { operation: 'delete', epoch: 4, previousIndex: 1 } },
  ])
  assert.deepEqual([...result.takeTouched().touched], [['c', 'insert'], ['a', 'update']])
  assert.equal(result.takeTouched().touched.size, 0)
  assert.equal(result.changes, 4)
})

test('messages of queries that nobody asked for are passed over', () => {
  assert.deepEqual([...fold(new Map(), [control('snapshot-start'), insert('a', 0)])], [['q', 0]])
})

test('keys without an order stand part by part, parts that are numbers by size', () => {
  const keys = ['["b",1]', '["a",10]', '["a",9]', '[null]', '[true]', '[2]', '[10]', '12', '7', 'text', '[broken']
  const sorted = keys.toSorted((a, b) => compareKeys(sortKey(a), sortKey(b)))
  assert.deepEqual(sorted, ['[null]', '[true]', '[2]', '[10]', '12', '7', '[broken', '["a",9]', '["a",10]', '["b",1]', 'text'])
})

test('a sequence is an array whose middle is cheap', () => {
  for (const size of [0, 1, 700, 5000]) {
    const pick = random(size + 7)
    const array = Array.from({ length: size }, (_, index) => index)
    const sequence = new Sequence([...array])
    for (let step = 0; step < 4000; step++) {
      // Sometimes all goes, so that chunks do too.
      if (array.length && pick.chance(step % 1000 > 700 ? 0.9 : 0.4)) {
        const index = pick.below(array.length)
        assert.equal(sequence.remove(index), array.splice(index, 1)[0])
      } else {
        const index = pick.below(array.length + 1)
        sequence.insert(index, -step)
        array.splice(index, 0, -step)
      }
      const index = pick.below(array.length + 2) - 1
      assert.equal(sequence.at(index), array[index])
      if (step % 500 === 0) {
        assert.deepEqual([...sequence], array)
        const from = pick.below(array.length + 1)
        const to = from + pick.below(2000)
        assert.deepEqual(sequence.slice(from, to), array.slice(from, to))
      }
    }
    assert.deepEqual(sequence.slice(), array)
    assert.equal(sequence.length, array.length)
  }
})
