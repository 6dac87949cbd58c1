import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OutOfStep } from '../dist/errors.js'
import { compareKeys } from '../dist/keys.js'
import { stepsOf } from '../dist/messages.js'
import { nameOf } from '../dist/name.js'
import { Rows } from '../dist/rows.js'
import { insert, remove, snapshot, update } from './server.js'

const steps = (items) => stepsOf(items).get('q')
const content = (rows) => rows.keys.map((key) => [key, rows.get(key)])

test('random epochs, some of them in one answer, give the rows that the server has', () => {
  let seed = 1
  const random = (n) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % n
  for (let round = 0; round < 200; round++) {
    const ordered = round % 4 !== 0
    const rows = new Rows()
    let now = []
    let answer = snapshot('q', 0, now, ordered)
    for (let epoch = 1; epoch < 30; epoch++) {
      const before = now
      const values = new Map(before)
      for (let i = random(5); i > 0; i--) {
        const key = `k${random(12)}`
        if (random(3) === 0) values.delete(key)
        else values.set(key, { n: random(100), epoch })
      }
      now = [...values].sort(([a, { n }], [b, { n: m }]) => (ordered ? n - m : 0) || compareKeys(a, b))
      const [old, fresh] = [before, now].map((list) => new Map(list.map(([key], i) => [key, i])))
      const at = (map, key) => (ordered ? map.get(key) : undefined)
      for (const [key] of before) if (!fresh.has(key)) answer.push(remove('q', epoch, key, at(old, key)))
      for (const [key, value] of now) {
        if (!old.has(key)) answer.push(insert('q', epoch, key, value, at(fresh, key)))
        else if (value.epoch === epoch) answer.push(update('q', epoch, key, value, at(fresh, key), at(old, key)))
      }
      if (random(3) === 0) continue
      if (answer.length > 0) {
        const was = new Map(content(rows))
        const changes = rows.apply(steps(answer))
        for (const { key, value, previous } of changes) {
          assert.equal(was.get(key), previous)
          if (value) was.set(key, value)
          else was.delete(key)
        }
        assert.deepEqual(was, new Map(content(rows)))
      }
      answer = []
      assert.deepEqual(content(rows), now)
    }
  }
})

test('an answer that does not fit changes nothing', () => {
  const rows = new Rows()
  rows.apply(steps(snapshot('q', 1, [['a', { n: 1 }], ['b', { n: 2 }]])))
  const before = content(rows)
  for (const items of [
    [remove('q', 2, 'a', 1)],
    [remove('q', 2, 'x', 5)],
    [insert('q', 2, 'c', {}, 4)],
    [insert('q', 2, 'a', {}, 0)],
    [insert('q', 2, 'c', {}, 0), { ...update('q', 2, 'b', {}, undefined, 1) }],
    [remove('q', 2, 'a', 0), insert('q', 3, 'c', {}, 7)],
  ]) {
    assert.throws(() => rows.apply(steps(items)), OutOfStep)
    assert.deepEqual([content(rows), rows.epoch], [before, 1])
  }
})

test('a snapshot tells only what is different, and equal rows stay the same objects', () => {
  const rows = new Rows()
  rows.apply(steps(snapshot('q', 1, [['a', { n: 1 }], ['b', { n: 2 }], ['c', { n: 3 }]])))
  const a = rows.get('a')
  const changes = rows.apply(steps(snapshot('q', 9, [['d', { n: 0 }], ['a', { n: 1 }], ['b', { n: 5 }]])))
  assert.deepEqual(changes.map(({ key, value }) => [key, value]).sort(), [['b', { n: 5 }], ['c', undefined], ['d', { n: 0 }]])
  assert.equal(rows.get('a'), a)
  assert.deepEqual([rows.keys, rows.epoch], [['d', 'a', 'b'], 9])
})

test('half a snapshot, and messages without key or value, are out of step', () => {
  assert.throws(() => stepsOf(snapshot('q', 1, []).slice(0, 1)), OutOfStep)
  assert.throws(() => stepsOf([{ type: 'q', key: 'a', headers: { operation: 'insert', epoch: 1 } }]), OutOfStep)
  assert.throws(() => stepsOf([{ type: 'q', headers: { operation: 'delete', epoch: 1 } }]), OutOfStep)
  assert.throws(() => stepsOf({}), OutOfStep)
})

test('keys stand part by part', () => {
  const sorted = ['[null]', '[false]', '[2]', '[10]', '["10"]', '["2"]', '["2",null]', '["2","a"]', '[[1]]', '[{"$missing":true}]']
  assert.deepEqual([...sorted].reverse().sort(compareKeys), sorted)
  const text = ['10', '2', '[no json', 'a', 'b', '\uffff', '\u{1f600}']
  assert.deepEqual([...text].reverse().sort(compareKeys), text)
})

test('names tell queries apart', () => {
  const names = new Set(Array.from({ length: 10_000 }, (_, limit) => nameOf({ from: 'a', limit })))
  assert.equal(names.size, 10_000)
  assert.equal(nameOf({ limit: 1 }), nameOf({ limit: 1 }))
  assert.match(nameOf({}), /^q-[0-9a-f]{16}$/)
})
