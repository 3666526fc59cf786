import { expect, test } from 'vitest'
import { createSweep } from '../../../src/beat/sweep.ts'

test('continues while batches are full and passes over the rows that it has seen', () => {
  const sweep = createSweep(3)
  expect(sweep.advance(3, ['locked'])).toEqual({ more: true, locked: 0 })
  expect(sweep.passedOver()).toEqual(['locked'])
  expect(sweep.advance(3, [], ['again'])).toEqual({ more: true, locked: 0 })
  expect(sweep.passedOver()).toEqual(['locked', 'again'])
  expect(sweep.advance(2, ['also locked'])).toEqual({ more: true, locked: 2 })
  expect(sweep.passedOver()).toEqual([])
})

test('starts the next sweep without passed-over rows', () => {
  const sweep = createSweep(3)
  sweep.advance(2, ['locked'], ['again'])
  expect(sweep.advance(2, [])).toEqual({ more: false, locked: 0 })
  expect(sweep.advance(0, [])).toEqual({ more: false, locked: 0 })
})
