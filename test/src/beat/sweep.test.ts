import { expect, test } from 'vitest'
import { createSweep } from '../../../src/beat/sweep.ts'

test('a sweep goes on while batches are full, and passes over what it could not do or has done already', () => {
  const sweep = createSweep(3)
  expect(sweep.advance(3, ['held'])).toEqual({ more: true, held: 0 })
  expect(sweep.passedOver()).toEqual(['held'])
  expect(sweep.advance(3, [], ['again'])).toEqual({ more: true, held: 0 })
  expect(sweep.passedOver()).toEqual(['held', 'again'])
  expect(sweep.advance(2, ['also held'])).toEqual({ more: true, held: 2 })
  expect(sweep.passedOver()).toEqual([])
})

test('the next sweep knows nothing of the one before', () => {
  const sweep = createSweep(3)
  sweep.advance(2, ['held'], ['again'])
  expect(sweep.advance(2, [])).toEqual({ more: false, held: 0 })
  expect(sweep.advance(0, [])).toEqual({ more: false, held: 0 })
})
