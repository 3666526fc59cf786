import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { numberArray, textArray } from '../../../src/database/outcome-columns.ts'

const { prepareValue } = createRequire(import.meta.url)('pg/lib/utils.js') as { prepareValue(value: unknown): string }

describe('an array literal', () => {
  it('equals the literal that pg makes from an array of strings', () => {
    const texts = fc.array(
      fc.option(fc.oneof(fc.string(), fc.constantFrom('', 'NULL', '{}', '"', '\\', ',', '\\"', 'a b\n', 'é€🙂'))),
    )
    fc.assert(fc.property(texts, (values) => textArray(values) === prepareValue(values)))
  })

  it('has the elements of an array of numbers', () => {
    expect(numberArray([])).toBe('{}')
    expect(numberArray([0, null, -1.5, 1_700_000_000_000])).toBe('{0,NULL,-1.5,1700000000000}')
  })
})
