import { expect, it } from 'vitest'
import { returnMemoryOfStart } from '../../../src/commands/return-memory.ts'
import { until } from '../../support/until.ts'

it('the garbage of the start is freed although no memory is short', async () => {
  const left = new WeakRef({ modules: 'read' })
  returnMemoryOfStart(50)
  await until('the garbage is collected', () => left.deref() === undefined)
  expect(left.deref()).toBeUndefined()
  expect(globalThis.gc).toBeUndefined()
})
