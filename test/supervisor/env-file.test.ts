import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseEnvFile } from '../../supervisor/env-file.ts'

const read: { name: string; text: string; values: Record<string, string> }[] = [
  { name: 'reads a plain value', text: 'A=1', values: { A: '1' } },
  { name: 'reads an empty value', text: 'A=', values: { A: '' } },
  { name: 'accepts "export" before the name', text: 'export A=1', values: { A: '1' } },
  { name: 'keeps a # inside a value', text: 'A=redis://:p#w@h/0', values: { A: 'redis://:p#w@h/0' } },
  { name: 'keeps a # after a space', text: 'A=pass # word', values: { A: 'pass # word' } },
  { name: 'keeps spaces and = inside a value', text: 'A=b c=d ', values: { A: 'b c=d ' } },
  { name: 'keeps an apostrophe', text: "A=it's", values: { A: "it's" } },
  { name: 'keeps a single apostrophe at the start', text: "A='tis\nB=2", values: { A: "'tis", B: '2' } },
  { name: 'keeps JSON', text: 'A={"a": "b"}', values: { A: '{"a": "b"}' } },
  { name: 'removes double quotes around a value', text: 'A="b c"', values: { A: 'b c' } },
  { name: 'ignores a comment after a quoted value', text: 'A="b" # c', values: { A: 'b' } },
  { name: 'resolves escapes in double quotes', text: 'A="a\\nb\\t\\"c\\" \\\\ \\$d"', values: { A: 'a\nb\t"c" \\ $d' } },
  { name: 'keeps backslashes outside quotes', text: 'A=a\\nb', values: { A: 'a\\nb' } },
  { name: 'takes text in single quotes literally', text: "A='a\\nb $c'", values: { A: 'a\\nb $c' } },
  { name: 'reads a quoted value over several lines', text: 'A="a\nb"\nC=d', values: { A: 'a\nb', C: 'd' } },
  { name: 'keeps quotes that do not enclose the whole value', text: 'A="a" b', values: { A: '"a" b' } },
  { name: 'expands no variables', text: 'A=$HOME', values: { A: '$HOME' } },
  {
    name: 'appends a line without an assignment to the value above',
    text: 'A=a\nb c\n\nd\nE=f',
    values: { A: 'a\nb c\n\nd', E: 'f' },
  },
  {
    name: 'reads a PEM key whose lines look like assignments',
    text: 'K=-----BEGIN KEY-----\nMIIE==\n-----END KEY-----\nB=1',
    values: { K: '-----BEGIN KEY-----\nMIIE==\n-----END KEY-----', B: '1' },
  },
  {
    name: 'skips comments and blank lines and accepts Windows line ends',
    text: '# c\r\n\r\nA=1\r\n  # d\r\nB=2\r\n',
    values: { A: '1', B: '2' },
  },
  {
    name: 'reads variables named like properties of Object.prototype',
    text: '__proto__=a\nb\nconstructor=c',
    values: { ['__proto__']: 'a\nb', constructor: 'c' } as never,
  },
  { name: 'uses the last of two assignments to the same name', text: 'A=1\nA=2', values: { A: '2' } },
]
test.each(read)('the parser of .env $name', ({ text, values }) => {
  expect(parseEnvFile(text).values).toEqual(values)
})

test('the parser of .env rejects a line that neither assigns nor continues a value, and names its number', () => {
  expect(() => parseEnvFile('# c\nhello world')).toThrow('.env:2: no NAME= at the start: "hello world"')
})

test('the parser of .env warns about a continued value', () => {
  expect(parseEnvFile('A=1\noops').warnings).toEqual(['.env:2: read as a continuation of A'])
})

test('the parser of .env throws no error except ENV_FILE_INVALID, for any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('A', '=', '"', "'", '\\', '\n', '#', ' ', '\r', 'é') }), (text) => {
      try {
        parseEnvFile(text)
      } catch (error) {
        expect(error).toHaveProperty('code', 'ENV_FILE_INVALID')
      }
    }),
  )
})

test('the parser of .env reads back any value that was written in double quotes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      const quoted = value.replace(/["\\]/g, '\\$&')
      fc.pre(!/[\r\0]/.test(value))
      expect(parseEnvFile(`A="${quoted}"`).values).toEqual({ A: value })
    }),
  )
})
