// The parts of the editor and of the picture of a plan that need no browser.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isJson, pieces, rangeOf } from '../../../src/server/dashboard/editor/highlight.js'
import { settings } from '../../../src/server/dashboard/format.js'
import { edge, layout, WIDTH } from '../../../src/server/dashboard/plan/layout.js'
import { detailsOf, figuresOf, nameOf, percent, spoken } from '../../../src/server/dashboard/plan/words.js'

settings.locale = 'en-US'

const kinds = text => pieces(text).filter(({ kind }) => kind).map(({ start, end, kind }) => [kind, text.slice(start, end)])

test('pieces of a text are all of it, in order', () => {
  for (const text of ['', 'SELECT a', "SELECT 'it''s', \"x\" -- end\nFROM t /* open", '{"a": [1, -2.5, true], "b": "x\\"y"}', "'open", 'naïve_ñame']) {
    let at = 0
    for (const { start, end } of pieces(text)) {
      assert.equal(start, at)
      assert.ok(end > start)
      at = end
    }
    assert.equal(at, text.length, text)
  }
})

test('words of the language, texts, numbers and remarks are told apart', () => {
  assert.deepEqual(kinds("select a1, 'from' AS \"where\", 12.5 -- from\nFROM t"), [
    ['word', 'select'], ['string', "'from'"], ['word', 'AS'], ['name', '"where"'], ['number', '12.5'], ['remark', '-- from'], ['word', 'FROM'],
  ])
  assert.deepEqual(kinds('{"from": "x", "n": 1, "b": null}'), [
    ['name', '"from"'], ['string', '"x"'], ['name', '"n"'], ['number', '1'], ['name', '"b"'], ['word', 'null'],
  ])
  assert.equal(isJson('  {'), true)
  assert.equal(isJson('SELECT {'), false)
})

test('a place of the server is found in the text, also behind characters of two units', () => {
  const text = "SELECT '😀😀', uper(x)\nFROM t"
  const { start, end } = rangeOf(text, { line: 1, column: 14, length: 4 })
  assert.equal(text.slice(start, end), 'uper')
  assert.deepEqual(rangeOf('ab\ncd', { line: 2, column: 3, length: 1 }), { start: 5, end: 6 })
  assert.equal(rangeOf('ab', { line: 0, column: 0, length: 0 }), null)
  assert.equal(rangeOf('ab', { line: 7, column: 1, length: 1 }), null)
})

const step = (operator, inputs = [], more = {}) => ({ operator, clause: '', details: [], sharedBy: 1, inputs, ...more })

test('steps stand above what they read, beside each other, and never on each other', () => {
  const scans = () => [step('scan'), step('scan')]
  const plan = step('result', [step('join', [step('join', scans()), step('filter', [step('scan')])])])
  const { boxes, width, height } = layout(plan, ({ operator }) => (operator === 'join' ? 140 : 60))
  assert.equal(boxes.length, 7)
  for (const box of boxes) {
    assert.ok(box.x >= 0 && box.x + WIDTH <= width && box.y >= 0 && box.y + box.height <= height)
    if (box.parent) assert.ok(box.y > box.parent.y + box.parent.height)
    for (const other of boxes) {
      const apart = box === other || box.x + WIDTH <= other.x || other.x + WIDTH <= box.x || box.y + box.height <= other.y || other.y + other.height <= box.y
      assert.ok(apart, `${box.path} is on ${other.path}`)
    }
  }
  const [root, join] = boxes
  assert.match(edge(join, root, 0, 1).path, /^M[\d.]+ [\d.]+C/)
})

test('steps are told in words', () => {
  const figures = { rowsIn: 12345, rowsOut: 2, steps: 4, nanos: 4000, bytes: 2048, perSecond: { rowsIn: 1, rowsOut: 2, steps: 4, busy: 0.0005 } }
  const join = step('join', [], {
    details: [['kind', 'left'], ['on', 'a = b'], ['arrangements', 'private'], ['shared by', '2 queries']],
    sharedBy: 2, figures, arrangements: [{ side: 'left', collection: 'a', keys: ['a'], rows: 7, bytes: 100 }],
  })
  assert.equal(nameOf(join), 'Left join')
  assert.deepEqual(detailsOf(join), [{ name: 'on', text: 'a = b' }])
  const names = figuresOf(join).map(([name]) => name)
  assert.deepEqual(names, ['in', 'out', 'memory', 'left side', 'per batch', 'busy'])
  assert.match(spoken(join), /^Left join, shared by 2 queries, on a = b, in 12,345/)
  assert.equal(nameOf(step('scan', [], { details: [['collection', 'order']] })), 'order')
  assert.deepEqual(figuresOf(step('bound')), [])
  assert.deepEqual([percent(0), percent(0.0001), percent(0.0123), percent(0.5)], ['0 %', '< 0.1 %', '1.2 %', '50 %'])
})
