import { expect, test } from 'vitest'
import { createSweep } from '../../../src/beat/sweep.ts'

test('a sweep continues while its batches are full, and skips the locked and unchanged rows of earlier batches', () => {
  const sweep = createSweep(3)
  expect(sweep.advance(3, ['locked'])).toEqual({ more: true, locked: 0 })
  expect(sweep.passedOver()).toEqual(['locked'])
  expect(sweep.advance(3, [], ['again'])).toEqual({ more: true, locked: 0 })
  expect(sweep.passedOver()).toEqual(['locked', 'again'])
  expect(sweep.advance(2, ['also locked'])).toEqual({ more: true, locked: 2 })
  expect(sweep.passedOver()).toEqual([])
})

test('a new sweep skips no rows of the sweep before', () => {
  const sweep = createSweep(3)
  sweep.advance(2, ['locked'], ['again'])
  expect(sweep.advance(2, [])).toEqual({ more: false, locked: 0 })
  expect(sweep.advance(0, [])).toEqual({ more: false, locked: 0 })
})
