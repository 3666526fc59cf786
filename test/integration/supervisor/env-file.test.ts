import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { parseEnvFile } from '../../../supervisor/env-file.ts'

test('the parser of .env files reads the output of env(1) without a change', () => {
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
