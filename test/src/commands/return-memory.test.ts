import { expect, it } from 'vitest'
import { returnMemoryOfStart } from '../../../src/commands/return-memory.ts'
import { until } from '../../support/until.ts'

it('gives back what the start left behind, without being asked for room', async () => {
  const left = new WeakRef({ modules: 'read' })
  returnMemoryOfStart(50)
  await until('the garbage is collected', () => left.deref() === undefined)
  expect(left.deref()).toBeUndefined()
  expect(globalThis.gc).toBeUndefined()
})
