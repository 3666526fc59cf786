import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRecorder } from '../../src/broker/outcomes/recorder.ts'
import { createResults, type Results } from '../../src/database/results.ts'
import { silentLog } from '../../src/log.ts'
import { createTestSchema, type TestSchema } from '../support/database.ts'

describe('a result that is notified before a call waits for it', () => {
  let schema: TestSchema
  let results: Results
  const forever = new AbortController().signal

  beforeEach(async () => {
    schema = await createTestSchema()
    results = createResults(schema.open())
  })
  afterEach(() => schema.drop())

  /** Stores and notifies results. Resolves when this process has received all notifications. */
  const end = async (...ids: string[]) => {
    const database = schema.open()
    const recorder = createRecorder(database, { name: 'w', log: silentLog(), onStored: () => {} })
    const outcome = { task: 't', state: 'SUCCESS', traceback: null, queue: 'q', retries: 0, startedAt: 1, doneAt: 2 } as const
    const heard = results.wait(ids.at(-1) ?? '', forever)
    for (const id of ids) recorder.record({ outcome: { ...outcome, id, result: JSON.stringify(id) }, message: undefined })
    await heard
    return database
  }
  const deleteAll = (database: Awaited<ReturnType<typeof end>>) =>
    database.query({ name: 'gone', text: 'DELETE FROM {schema}.task_result' })
  const waitShortly = (id: string) => results.wait(id, AbortSignal.timeout(200))

  it('is kept by the sending process and returned once', async () => {
    await end('first')
    results.sending(['a', 'b'])
    await deleteAll(await end('a', 'stranger', 'b'))
    expect((await waitShortly('a'))?.result).toBe('a')
    expect(await waitShortly('a')).toBeUndefined()
    expect(await waitShortly('stranger')).toBeUndefined()
  })

  it('is dropped by forget()', async () => {
    await end('first')
    results.sending(['a', 'b'])
    await end('a', 'b')
    await results.forget('a')
    expect(await waitShortly('a')).toBeUndefined()
  })

  it('is read from the database if too many other results arrived meanwhile', async () => {
    await end('first')
    const ids = Array.from({ length: 101 }, (_, index) => `id-${index}`)
    results.sending([...ids, 'last'])
    for (let from = 0; from < ids.length; from += 30) await end(...ids.slice(from, from + 30), `mark-${from}`)
    const database = await end('last')
    await deleteAll(database)
    expect(await waitShortly('id-0')).toBeUndefined()
    expect((await waitShortly('id-1'))?.result).toBe('id-1')
    expect((await waitShortly('id-100'))?.result).toBe('id-100')
  })
})
