import { expect, it } from 'vitest'
import { createBatchQueue } from '../../../../src/broker/consumer/batch-queue.ts'

it('a batch queue keeps items that arrive while a batch is written', () => {
  const queue = createBatchQueue<number>()
  queue.add(1)
  queue.add(2)
  const batch = queue.first()
  queue.add(3)
  queue.written(batch)
  expect(queue.items).toEqual([3])
})

it('a batch queue returns the same items again until they are written', () => {
  const queue = createBatchQueue<number>()
  for (const item of [1, 2, 3]) queue.add(item)
  expect(queue.first(2)).toEqual([1, 2])
  expect(queue.first(2)).toEqual([1, 2])
  queue.written(queue.first(2))
  expect(queue.first(2)).toEqual([3])
  expect(queue.size).toBe(1)
})
