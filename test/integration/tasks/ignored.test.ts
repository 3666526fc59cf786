import { expect, it } from 'vitest'
import { chain, chord } from '../../../src/app/canvas/canvas.ts'
import { Ignore, Reject } from '../../../src/app/task-errors.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'
import { composable } from './compositions.ts'

const WAIT = { timeoutMs: 15_000 }

onEveryBroker('a task that throws Ignore', (at) => {
  const ignoring = (options = {}) =>
    at.app.task(
      'ignoring',
      (): number => {
        throw new Ignore('of no interest')
      },
      options,
    )

  it('fails the chord that has it as a member, with an error that names the task, and the errback is called', async () => {
    const { add, sum, note, runs } = composable(at.app)
    const ignored = ignoring()
    await at.work()
    const result = await chord([add.s(1, 2), ignored.s(), add.s(3, 4)], sum.s())
      .linkError(note.s())
      .delay()
    const members = await at.rows('SELECT members FROM $chord')
    await expect(result.get(WAIT)).rejects.toMatchObject({
      excType: 'ChordError',
      message: expect.stringMatching(/Dependency \S+ raised Ignore\('of no interest'\)/),
    })
    const error = await result.get(WAIT).catch((thrown: Error) => thrown)
    if (members.length > 0) expect((error as Error).message).toContain((members[0]!.members as string[])[1])
    await until('the errback', () => runs.some(([name]) => name === 'note'))
    expect(runs.filter(([name]) => name === 'note')).toEqual([['note', result.id]])
    expect(runs.some(([name]) => name === 'sum')).toBe(false)
    expect(await at.rows('SELECT id FROM $chord')).toEqual([])
  })

  it('fails the chord also if the task is an earlier step of a chain in the header, or a member of an inner chord', async () => {
    const { add, sum } = composable(at.app)
    const ignored = ignoring()
    await at.work()
    const ofChain = await chord([add.s(1, 2), chain(ignored.s(), add.s(1), add.s(2))], sum.s()).delay()
    await expect(ofChain.get(WAIT)).rejects.toMatchObject({ excType: 'ChordError', message: expect.stringContaining('Ignore(') })
    const ofChord = await chord([add.s(1, 2), chord([ignored.s(), add.s(1, 1)], sum.s())], sum.s()).delay()
    await expect(ofChord.get(WAIT)).rejects.toMatchObject({
      excType: 'ChordError',
      message: expect.stringContaining('ChordError('),
    })
    expect(await at.rows('SELECT id FROM $chord')).toEqual([])
    expect(await at.rows('SELECT task_id FROM $chord_member')).toEqual([])
  })

  it('fails the chord also if the message of the task was acknowledged early', async () => {
    const { add, sum } = composable(at.app)
    const ignored = ignoring({ acks: 'early' })
    await at.work()
    const early = await chord([add.s(1, 2), ignored.s()], sum.s()).delay()
    await expect(early.get(WAIT)).rejects.toMatchObject({ excType: 'ChordError' })
  })

  it('leaves no outcome, log lines or progress, even after a long run', async () => {
    let end = () => {}
    let runs = 0
    const slow = at.app.task(
      'slow',
      async ({ progress, retry }) => {
        if (++runs === 1) retry({ countdown: 0 })
        progress(1, 2)
        await new Promise<void>((resolve) => (end = resolve))
        progress(2, 2)
        throw new Ignore()
      },
      { bind: true },
    )
    await at.work()
    const run = await slow.delay()
    await until('STARTED', async () => (await run.state()) === 'STARTED')
    end()
    await until('forgotten', async () => (await run.state()) === 'PENDING')
    expect(await at.rows('SELECT id FROM $task_result')).toEqual([])
  })
})

onEveryBroker('a task that rejects its message', (at) => {
  it('fails the chord that has it as a member, and its message is kept as a dead letter', async () => {
    const { add, sum } = composable(at.app)
    const rejecting = at.app.task('rejecting', (): number => {
      throw new Reject({ reason: 'not mine' })
    })
    await at.work()
    const result = await chord([add.s(1, 2), rejecting.s()], sum.s()).delay()
    await expect(result.get(WAIT)).rejects.toMatchObject({
      excType: 'ChordError',
      message: expect.stringContaining("Reject('not mine')"),
    })
    expect(await at.rows('SELECT task, reason FROM $dead_letter')).toEqual([{ task: 'rejecting', reason: 'not mine' }])
  })

  it('with requeue ends its chord only after it has run again', async () => {
    const { add, sum } = composable(at.app)
    let runs = 0
    const requeuing = at.app.task('requeuing', () => {
      if (++runs < 3) throw new Reject({ requeue: true })
      return 10
    })
    await at.work()
    expect(await (await chord([add.s(1, 2), requeuing.s()], sum.s()).delay()).get(WAIT)).toBe(13)
  })
})
