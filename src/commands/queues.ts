import { parseArgs } from 'node:util'
import type { Broker } from '../broker/broker.ts'
import type { Config } from '../config.ts'
import { createQueueSettings, type QueueSetting, type QueueSettings } from '../database/queue-settings.ts'
import { AppError } from '../errors.ts'
import { brokerAnswers } from './broker-answers.ts'
import { knownDepths } from './queue-depths.ts'
import { withSession } from './session.ts'

export const help = `onedyno queues: shows queues, pauses them, and limits how many of their tasks run at once.

Usage: onedyno queues [list] [--json]
       onedyno queues pause QUEUE
       onedyno queues resume QUEUE
       onedyno queues limit QUEUE N|none

  list              known queues with waiting and running messages and settings (default); RabbitMQ does not
                    report running ones: use onedyno inspect active
  pause             workers take nothing from it until it is resumed; running tasks and sending go on
  resume            workers take from it again
  limit             at most N of its tasks run at once over all workers; 1: one after the other, in order

      --json        prints the list as JSON
  -h, --help        this text

Takes effect at once and is stored in the database.
Exit codes: 0 done · 64 usage · 69 unavailable · 70 bug · 78 configuration`

const ACTIONS = ['list', 'pause', 'resume', 'limit'] as const
type Action = (typeof ACTIONS)[number]

/** Runs `onedyno queues`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { json: { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  const { action, queue, limit } = parse(positionals)
  return withSession(env, undefined, async ({ config, database, broker }) => {
    const settings = createQueueSettings(database)
    if (action === 'list') await list({ settings, broker, config }, values.json)
    else {
      await change(settings, action, queue, limit)
      process.stdout.write(`${SAID[action](queue, limit)}\n`)
    }
    return 0
  })
}

const SAID: Readonly<Record<Exclude<Action, 'list'>, (queue: string, limit: number | null) => string>> = {
  pause: (queue) => `${queue} is paused`,
  resume: (queue) => `${queue} goes on`,
  limit: (queue, limit) => (limit === null ? `${queue} has no limit` : `${queue}: ${limit} at once over all workers`),
}

interface Parsed {
  readonly action: Action
  readonly queue: string
  readonly limit: number | null
}

/** Reads the words of the command line. @throws AppError USAGE */
function parse([word = 'list', queue, number, ...more]: readonly string[]): Parsed {
  const action = ACTIONS.find((each) => each === word)
  if (action === undefined) throw new AppError('USAGE', `unknown action ${word}; there are ${ACTIONS.join(', ')}`)
  const wanted = action === 'list' ? 0 : action === 'limit' ? 2 : 1
  const given = [queue, number, ...more].filter((each) => each !== undefined).length
  if (given !== wanted)
    throw new AppError(
      'USAGE',
      `${action} takes ${['nothing more', 'the name of a queue', 'a queue and a number, or none'][wanted]}`,
    )
  if (action !== 'limit') return { action, queue: queue ?? '', limit: null }
  if (number !== 'none' && !/^\d{1,4}$/.test(number ?? '')) throw new AppError('USAGE', `${number} is neither a number nor none`)
  return { action, queue: queue ?? '', limit: number === 'none' ? null : Number(number) }
}

async function change(
  settings: QueueSettings,
  action: Exclude<Action, 'list'>,
  queue: string,
  limit: number | null,
): Promise<void> {
  switch (action) {
    case 'pause':
      return settings.pause(queue)
    case 'resume':
      return settings.resume(queue)
    case 'limit':
      return settings.limit(queue, limit)
    default:
      return action satisfies never
  }
}

async function list(
  { settings, broker, config }: { settings: QueueSettings; broker: Broker; config: Config },
  asJson: boolean,
): Promise<void> {
  const queues = await settings.listQueues(config.queues)
  const found = await brokerAnswers(config, knownDepths(broker)(queues.map(({ name }) => name)))
  const depths = new Map(found.map((depth) => [depth.queue, depth]))
  const rows = queues.map((queue) => {
    const { ready = 0, running = null } = depths.get(queue.name) ?? {}
    return { ...queue, ready, running }
  })
  if (asJson) process.stdout.write(`${JSON.stringify(rows)}\n`)
  else for (const line of table(rows)) process.stdout.write(`${line}\n`)
}

/** Formats a table that is as wide as its longest name. The last column is empty for a queue without a setting. */
function table(rows: readonly (QueueSetting & { ready: number; running: number | null })[]): string[] {
  const width = Math.max(5, ...rows.map(({ name }) => name.length))
  const line = (name: string, ready: string, running: string, set: string) =>
    `${name.padEnd(width)}  ${ready.padStart(9)}  ${running.padStart(7)}  ${set}`.trimEnd()
  return [
    line('QUEUE', 'READY', 'RUNNING', 'SET'),
    ...rows.map(({ name, ready, running, paused, concurrency }) => {
      const set = [paused ? 'paused' : '', concurrency === null ? '' : `${concurrency} at once`].filter((each) => each !== '')
      return line(name, String(ready), running === null ? '?' : String(running), set.join(', '))
    }),
  ]
}
