import { pino } from 'pino'
import { expect, it } from 'vitest'
import { createRefusedQueues } from '../../../../src/broker/amqp/refused-queues.ts'

const start = () => {
  const said: string[] = []
  let at = 0
  const log = pino({ level: 'warn' }, { write: (line: string) => void said.push(JSON.parse(line).queue) })
  const queues = createRefusedQueues(log, () => at)
  const pass = (ms: number) => {
    at += ms
  }
  return { queues, said, pass }
}

it('a refused queue is tried after growing pauses of at most a minute, and the refusal is logged once', () => {
  const { queues, said, pass } = start()
  const waits = Array.from({ length: 12 }, () => {
    queues.refused('q', 'no')
    const wait = queues.waitMs('q')
    pass(wait)
    expect(queues.waitMs('q')).toBe(0)
    return wait
  })
  for (const [at, wait] of waits.entries()) {
    const longest = Math.min(60_000, 500 * 2 ** at)
    expect(wait).toBeGreaterThanOrEqual(longest / 2)
    expect(wait).toBeLessThanOrEqual(longest)
  }
  expect(queues.waitMs('other')).toBe(0)
  expect(said).toEqual(['q'])
})

it('the pause of a refused queue starts short again after the queue took a message, and is not logged again within a minute', () => {
  const { queues, said, pass } = start()
  for (let at = 0; at < 5; at++) {
    queues.refused('q', 'full')
    expect(queues.waitMs('q')).toBeLessThanOrEqual(500)
    queues.taken('q')
    expect(queues.waitMs('q')).toBe(0)
    pass(10_000)
  }
  expect(said).toEqual(['q'])
  pass(60_000)
  queues.taken('q')
  queues.refused('q', 'full')
  expect(said).toEqual(['q', 'q'])
})
