import { describe, expect, it } from 'vitest'
import { isTruthy, itemsOf, listOf } from '../../../src/control/python-values.ts'

describe('a value from Python', () => {
  it.each([
    [true, true],
    [1, true],
    [-1, true],
    [0.5, true],
    ['yes', true],
    ['0', true],
    [[0], true],
    [{ a: 0 }, true],
    [false, false],
    [0, false],
    ['', false],
    [[], false],
    [{}, false],
    [null, false],
    [undefined, false],
  ])('%j is read as the flag %s', (value, expected) => {
    expect(isTruthy(value)).toBe(expected)
  })

  it.each([
    [null, [], []],
    ['id', ['id'], ['id']],
    [
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ],
    [{ a: [1, 'a'], b: null }, [{ a: [1, 'a'], b: null }], ['a', 'b']],
  ])('%j is read as the list %j with the items %j', (value, list, items) => {
    expect(listOf(value)).toEqual(list)
    expect(itemsOf(value)).toEqual(items)
  })
})
