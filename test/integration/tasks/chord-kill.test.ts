import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { chain, chord } from '../../../src/app/canvas/canvas.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

const APP = 'test/fixtures/apps/composed.ts'
let file: string
let count = 0
beforeEach(() => {
  file = join(tmpdir(), `composed-${process.pid}-${++count}`)
  writeFileSync(file, '')
})
afterEach(() => rmSync(file, { force: true }))

const written = () => readFileSync(file, 'utf8')
const times = (line: string) =>
  written()
    .split('\n')
    .filter((each) => each === line).length

onEveryBroker('a workflow whose worker is killed', (at) => {
  const step = (name: string, ms = 0) => at.app.signature<unknown>('composed.step', [file, name, ms])

  it('continues after its last stored step', async () => {
    const worker = await at.process(APP)
    const last = await chain(step('a'), step('b', 60_000), step('c')).delay('start')
    await until('the second step', () => times('begin b') === 1)
    worker.kill('SIGKILL')
    await worker.exited
    await at.process(APP, { env: { SLOW: 'no' } })
    expect(await last.get({ timeoutMs: 30_000 })).toEqual(['start', 'a', 'b', 'c'])
    // The second step may be in the queue twice if the worker died between publishing it and deleting it from the outbox. Then it runs twice.
    expect([times('begin a'), times('begin b') >= 2, times('begin c')]).toEqual([1, true, 1])
  })

  it('runs the body of its chord once, with every result of the header', async () => {
    const worker = await at.process(APP)
    const header = Array.from({ length: 8 }, (_, n) => chain(step(`m${n}`, n < 4 ? 0 : 60_000), step(`n${n}`)))
    const result = await chord(header, step('body')).delay('start')
    await until('half of the header', () => [0, 1, 2, 3].every((n) => times(`end n${n}`) === 1) && times('begin m7') === 1)
    worker.kill('SIGKILL')
    await worker.exited
    await at.process(APP, { env: { SLOW: 'no' } })
    const members = Array.from({ length: 8 }, (_, n) => ['start', `m${n}`, `n${n}`])
    expect(await result.get({ timeoutMs: 30_000 })).toEqual([...members, 'body'])
    expect(times('begin body')).toBe(1)
    expect(await at.rows('SELECT id FROM $chord')).toEqual([])
  })

  it('completes although its workers are killed repeatedly', async () => {
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        chain(step(`a${n}`, 20), chord([step(`b${n}`, 20), step(`c${n}`, 20)], step(`d${n}`, 20)), step(`e${n}`, 20)).delay(
          'start',
        ),
      ),
    )
    // None of these tasks killed its worker.
    const env = { MAX_DELIVERIES: '100' }
    for (let kills = 0; kills < 3; kills++) {
      const worker = await at.process(APP, { env })
      const before = written().length
      await until('it works', () => written().length > before + 100)
      worker.kill('SIGKILL')
      await worker.exited
    }
    await at.process(APP, { env })
    const values = await Promise.all(results.map((result) => result.get({ timeoutMs: 60_000 })))
    expect(values).toEqual(values.map((_, n) => [['start', `a${n}`, `b${n}`], ['start', `a${n}`, `c${n}`], `d${n}`, `e${n}`]))
    expect(await at.rows("SELECT count(*)::int AS n FROM $task_result WHERE state = 'SUCCESS'")).toEqual([{ n: 50 }])
  })
})
