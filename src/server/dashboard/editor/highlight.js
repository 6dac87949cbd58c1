// The text of a query in colours: words of the language, texts, numbers, remarks, and the place that is meant.

import { el } from '../dom.js'

const WORDS = new Set(
  `all and as asc between by case cast coalesce cross current_date current_timestamp date desc distinct else end escape except
  exists extract false filter first following from full group having ilike in inner intersect interval is join last lateral left
  like limit natural not null nulls offset on or order outer over partition preceding range recursive right row rows select
  similar then timestamp true unbounded union using values when where with`.split(/\s+/),
)

// Remarks, texts, quoted names, numbers, words; all else is as it is.
const SQL = /(?<remark>--[^\n]*|\/\*[^]*?(?:\*\/|$))|(?<string>'(?:[^']|'')*'?)|(?<name>"(?:[^"]|"")*"?)|(?<number>\b\d+(?:\.\d+)?\b)|(?<word>[\p{L}_][\p{L}\p{N}_]*)/gu
const JSON_TEXT = /(?<name>"(?:[^"\\\n]|\\.)*"(?=\s*:))|(?<string>"(?:[^"\\\n]|\\.)*"?)|(?<number>-?\b\d+(?:\.\d+)?\b)|(?<word>\b(?:true|false|null)\b)/gu

export const isJson = text => text.trimStart().startsWith('{')

/** Pieces of the text, each `{ start, end, kind }`, one behind the other. */
export function pieces(text) {
  const json = isJson(text)
  const found = []
  let at = 0
  for (const match of text.matchAll(json ? JSON_TEXT : SQL)) {
    const [kind] = Object.entries(match.groups).find(([, part]) => part !== undefined)
    const isWord = kind === 'word' && !json && !WORDS.has(match[0].toLowerCase())
    if (match.index > at) found.push({ start: at, end: match.index, kind: null })
    at = match.index + match[0].length
    found.push({ start: match.index, end: at, kind: isWord ? null : kind })
  }
  if (at < text.length) found.push({ start: at, end: text.length, kind: null })
  return found
}

/** Where a place of the server's is in the text: `{ start, end }`, or null without one. */
export function rangeOf(text, { line, column, length }) {
  if (!line) return null
  const lines = text.split('\n')
  if (line > lines.length) return null
  const before = lines.slice(0, line - 1).reduce((sum, part) => sum + part.length + 1, 0)
  // The server counts characters, texts here are of halves of some.
  const units = count => [...lines[line - 1]].slice(0, count).join('').length
  const start = before + units(column - 1)
  return { start, end: Math.max(start + 1, before + units(column - 1 + length)) }
}

/** The text as elements, with what is marked: `{ start, end, kind }`. */
export function coloured(text, marks) {
  const cuts = [...new Set([0, text.length, ...marks.flatMap(({ start, end }) => [start, Math.min(end, text.length)])])].sort((a, b) => a - b)
  const spans = []
  for (const piece of pieces(text)) {
    const inner = cuts.filter(cut => cut > piece.start && cut < piece.end)
    const edges = [piece.start, ...inner, piece.end]
    for (let i = 0; i + 1 < edges.length; i++) {
      const mark = marks.find(({ start, end }) => edges[i] >= start && edges[i] < end)
      const kinds = [piece.kind, mark?.kind].filter(Boolean).join(' ')
      const part = text.slice(edges[i], edges[i + 1])
      spans.push(kinds ? el('span', { class: kinds, text: part }) : part)
    }
  }
  // A place behind the end has something to be under.
  if (marks.some(({ start }) => start >= text.length)) spans.push(el('span', { class: marks.at(-1).kind, text: ' ' }))
  // The last line is as high as the others, also when it is empty.
  spans.push('\n')
  return spans
}
