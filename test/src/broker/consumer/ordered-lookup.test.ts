import { expect, it } from 'vitest'
import { createOrderedLookup } from '../../../../src/broker/consumer/ordered-lookup.ts'

it('an ordered lookup processes one batch after the other, also after a failure', async () => {
  const log: string[] = []
  const lookup = createOrderedLookup<string>(async (batch) => {
    log.push(`begin ${batch}`)
    await Promise.resolve()
    log.push(`end ${batch}`)
    if (batch[0] === 'a') throw new Error('refused')
  })
  const first = lookup.add(['a'])
  const second = lookup.add(['b'])
  expect(lookup.isBusy).toBe(true)
  await expect(first).rejects.toThrow('refused')
  await second
  await Promise.resolve().then(() => {})
  expect(log).toEqual(['begin a', 'end a', 'begin b', 'end b'])
  await new Promise((resolve) => setImmediate(resolve))
  expect(lookup.isBusy).toBe(false)
})
