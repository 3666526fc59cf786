import { expect, it } from 'vitest'
import { createStoreFailures } from '../../../../src/broker/consumer/store-failures.ts'
import type { Log } from '../../../../src/log.ts'

it('each reason of a failed write is logged once until a write succeeds', () => {
  const lines: string[] = []
  const log = {
    warn: ({ reason }: { reason: string }) => lines.push(`warn ${reason}`),
    error: ({ err }: { err: Error }) => lines.push(`error ${err.message}`),
  } as unknown as Log
  const failures = createStoreFailures(log)
  const away = Object.assign(new Error('away'), { code: 'ECONNREFUSED' })
  const full = Object.assign(new Error('disk full'), { code: '53100' })
  for (const error of [away, away, full, full]) failures.failed(error, 3)
  failures.succeeded()
  failures.failed(full, 3)
  expect(lines).toEqual(['warn away', 'error disk full', 'error disk full'])
})
