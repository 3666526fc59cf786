import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseEnvFile } from '../../supervisor/env-file.ts'

const read: { name: string; text: string; values: Record<string, string> }[] = [
  { name: 'a plain value', text: 'A=1', values: { A: '1' } },
  { name: 'an empty value', text: 'A=', values: { A: '' } },
  { name: 'an export before the name', text: 'export A=1', values: { A: '1' } },
  { name: 'a # inside a value is an ordinary character', text: 'A=redis://:p#w@h/0', values: { A: 'redis://:p#w@h/0' } },
  { name: 'a # after a space is one, too', text: 'A=pass # word', values: { A: 'pass # word' } },
  { name: 'spaces and = inside a value', text: 'A=b c=d ', values: { A: 'b c=d ' } },
  { name: 'an apostrophe', text: "A=it's", values: { A: "it's" } },
  { name: 'one apostrophe at the start', text: "A='tis\nB=2", values: { A: "'tis", B: '2' } },
  { name: 'JSON', text: 'A={"a": "b"}', values: { A: '{"a": "b"}' } },
  { name: 'double quotes around a value are taken off', text: 'A="b c"', values: { A: 'b c' } },
  { name: 'a comment may follow a quoted value', text: 'A="b" # c', values: { A: 'b' } },
  { name: 'escapes count in double quotes', text: 'A="a\\nb\\t\\"c\\" \\\\ \\$d"', values: { A: 'a\nb\t"c" \\ $d' } },
  { name: 'backslashes without quotes are ordinary', text: 'A=a\\nb', values: { A: 'a\\nb' } },
  { name: 'single quotes are literal', text: "A='a\\nb $c'", values: { A: 'a\\nb $c' } },
  { name: 'a quoted value over several lines', text: 'A="a\nb"\nC=d', values: { A: 'a\nb', C: 'd' } },
  { name: 'quotes that belong to the value stay', text: 'A="a" b', values: { A: '"a" b' } },
  { name: 'nothing is expanded', text: 'A=$HOME', values: { A: '$HOME' } },
  {
    name: 'a line that assigns nothing continues the value above',
    text: 'A=a\nb c\n\nd\nE=f',
    values: { A: 'a\nb c\n\nd', E: 'f' },
  },
  {
    name: 'a PEM key whose lines look like assignments',
    text: 'K=-----BEGIN KEY-----\nMIIE==\n-----END KEY-----\nB=1',
    values: { K: '-----BEGIN KEY-----\nMIIE==\n-----END KEY-----', B: '1' },
  },
  { name: 'comments, blank lines and Windows line ends', text: '# c\r\n\r\nA=1\r\n  # d\r\nB=2\r\n', values: { A: '1', B: '2' } },
  {
    name: 'names that objects have by birth',
    text: '__proto__=a\nb\nconstructor=c',
    values: { ['__proto__']: 'a\nb', constructor: 'c' } as never,
  },
  { name: 'the last of two assignments counts', text: 'A=1\nA=2', values: { A: '2' } },
]
test.each(read)('$name', ({ text, values }) => {
  expect(parseEnvFile(text).values).toEqual(values)
})

test('a line that neither assigns nor continues is refused with its number', () => {
  expect(() => parseEnvFile('# c\nhello world')).toThrow('.env:2: no NAME= at the start: "hello world"')
})

test('a continued value is told to check', () => {
  expect(parseEnvFile('A=1\noops').warnings).toEqual(['.env:2: read as a further line of A'])
})

test('what `env` prints is read back', () => {
  const values = {
    URL: 'postgres://u:p#x@h/d?a=b',
    SPACE: ' a  b ',
    APOSTROPHE: "it's",
    QUOTE: 'say "x" # now',
    LINES: 'a\nb c\nd',
    TAB: 'a\tb',
  }
  const text = execFileSync('env', ['-i', 'env', ...Object.entries(values).map(([name, value]) => `${name}=${value}`)], {
    encoding: 'utf8',
  })
  expect(parseEnvFile(text).values).toEqual(values)
})

test('no text makes it throw anything but its own error', () => {
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

test('a value in double quotes comes back as it was written', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      const quoted = value.replace(/["\\]/g, '\\$&')
      fc.pre(!/[\r\0]/.test(value))
      expect(parseEnvFile(`A="${quoted}"`).values).toEqual({ A: value })
    }),
  )
})
