import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLineSplitter } from '../../supervisor/line-splitter.ts'

/** The lines of `chunks`, as bytes. */
function split(chunks: (string | Buffer)[], limit = 10_000): Buffer[] {
  const blocks: string[] = []
  const splitter = createLineSplitter(limit, (block) => blocks.push(block))
  for (const chunk of chunks) {
    const bytes = Buffer.from(chunk as string)
    splitter.push(bytes, bytes.length)
  }
  splitter.end()
  return blocks.flatMap((block) => block.split('\n')).map((line) => Buffer.from(line, 'latin1'))
}
const text = (lines: Buffer[]) => lines.map(String)

const cases: [name: string, chunks: string[], lines: string[]][] = [
  ['joins chunks and emits a last line without a newline', ['a', 'b\nc\n', '', 'd', 'e', '\nf'], ['ab', 'c', 'de', 'f']],
  ['keeps empty lines', ['\n\na\n\n'], ['', '', 'a', '']],
  ['treats CR LF as a newline, also across chunks', ['a\r\nb\r', '\nc\r\n'], ['a', 'b', 'c']],
  ['keeps a CR inside a line', ['10%\r20%\n'], ['10%\r20%']],
  ['does not end a line at VT, FF and U+2028', ['a\vb\fc\u2028d\n'], ['a\vb\fc\u2028d']],
  ['emits nothing for empty input', ['', ''], []],
]
test.each(cases)('the line splitter %s', (_name, chunks, lines) => {
  expect(text(split(chunks))).toEqual(lines)
})

test('the line splitter keeps NUL and bytes that are not UTF-8', () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((byte) => byte !== 10 && byte !== 13))
  expect(split([Buffer.concat([bytes, Buffer.from('\n')])])).toEqual([bytes])
})

test('the line splitter cuts a long line between UTF-8 characters and marks the cut', () => {
  const lines = text(split([`${'é'.repeat(60)}\nshort\n`], 50))
  expect(lines).toEqual([`${'é'.repeat(23)}…`, `…${'é'.repeat(22)}…`, `…${'é'.repeat(15)}`, 'short'])
  for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(50)
})

test('the line splitter emits pieces of a long line before the end of the line arrives', () => {
  const seen: number[] = []
  const splitter = createLineSplitter(100, (block) => seen.push(block.length))
  const chunk = Buffer.alloc(64, 'x')
  for (let i = 0; i < 100; i += 1) splitter.push(chunk, 64)
  expect(seen.length).toBeGreaterThan(60)
  expect(Math.max(...seen)).toBeLessThanOrEqual(100)
})

test('the line splitter gives the same lines for the same bytes in any chunks', () => {
  const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array.map((byte) => (byte % 7 === 0 ? 10 : byte))))
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(400), { maxLength: 5 }), (all, cuts) => {
      const at = [0, ...cuts.map((cut) => Math.min(cut, all.length)), all.length].toSorted((a, b) => a - b)
      const chunks = at.slice(1).map((to, i) => all.subarray(at[i], to))
      expect(split(chunks, 64)).toEqual(split([all], 64))
    }),
  )
})

test('the line splitter emits only lines that fit, and adds nothing to the bytes except the marks of cuts', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (line) => {
      fc.pre(!/[\n\r…]/.test(line))
      const pieces = split([line], 40)
      for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(40)
      expect(text(pieces).join('').replaceAll('…', '')).toBe(line)
    }),
  )
})
