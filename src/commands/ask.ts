import { parseArgs } from 'node:util'
import type { ControlTransport } from '../broker/control-transport.ts'
import { chooseBroker } from '../broker/open-broker.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import { parseConfig } from '../config.ts'
import { askWorkers } from '../control/ask.ts'
import { createDatabase } from '../database/database.ts'
import { AppError } from '../errors.ts'
import { silentLog } from '../log.ts'
import { brokerAnswers, CLOSING_MS } from './broker-answers.ts'

/** One request of `onedyno inspect` or `onedyno control`. */
export interface Asked {
  readonly method: string
  readonly given: Readonly<Record<string, unknown>>
  /** False if workers send no answer to this method (shutdown). */
  readonly answered: boolean
}

export const askOptions = {
  timeout: { type: 'string', short: 't', default: '1' },
  destination: { type: 'string', short: 'd' },
  json: { type: 'boolean', short: 'j', default: false },
} as const

/** The arguments of a method, in their order on the command line. `rest` receives all words that remain. */
export interface Signature {
  readonly args: readonly string[]
  /** Number of required arguments. Default: all of `args`. */
  readonly required?: number
  readonly rest?: string
  /** Names of the arguments that must be numbers. */
  readonly numbers?: readonly string[]
  readonly what: string
}

/** Returns the arguments of a method, read from the words of a command line. @throws AppError USAGE */
export function argumentsOf(signatures: Readonly<Record<string, Signature>>, words: readonly string[]): Asked {
  const [method = '', ...values] = words
  const signature = Object.hasOwn(signatures, method) ? signatures[method] : undefined
  if (signature === undefined)
    throw new AppError(
      'USAGE',
      `${method === '' ? 'no method' : `unknown method ${method}`}; there are ${Object.keys(signatures).join(', ')}`,
    )
  const { args, required = args.length, rest, numbers = [] } = signature
  if (values.length < required + (rest === undefined ? 0 : 1) || (rest === undefined && values.length > args.length))
    throw new AppError('USAGE', `${method} takes ${usageOf(signature) || 'no arguments'}`)
  const given: Record<string, unknown> = {}
  for (const [at, name] of args.entries()) {
    const value = values[at]
    if (value === undefined) continue
    if (numbers.includes(name) && !/^\d+(\.\d+)?$/.test(value)) throw new AppError('USAGE', `${name}=${value} is not a number`)
    given[name] = numbers.includes(name) ? Number(value) : value
  }
  if (rest !== undefined) given[rest] = values.slice(args.length)
  return { method, given, answered: method !== 'shutdown' }
}

const usageOf = ({ args, required = args.length, rest }: Signature): string =>
  [
    ...args.map((arg, at) => (at < required ? arg.toUpperCase() : `[${arg.toUpperCase()}]`)),
    rest === undefined ? '' : `${rest.toUpperCase()} …`,
  ]
    .filter((word) => word !== '')
    .join(' ')

/** Returns the help text, with one line for each method. */
export const listOf = (signatures: Readonly<Record<string, Signature>>): string =>
  Object.entries(signatures)
    .map(([method, signature]) => `  ${`${method} ${usageOf(signature)}`.trim().padEnd(34)} ${signature.what}`)
    .join('\n')

/** Sends a request to the workers and prints their answers. @throws AppError USAGE, BROKER_SILENT, NO_WORKER_ANSWERED */
export async function ask(
  asked: Asked,
  values: { timeout: string; destination?: string | undefined; json: boolean },
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const timeoutMs = Number(values.timeout) * 1000
  if (!(timeoutMs > 0 && timeoutMs <= 3_600_000)) throw new AppError('USAGE', `-t ${values.timeout} is not a number of seconds`)
  const destination = values.destination?.split(',').filter((name) => name !== '')
  const parsed = parseConfig(env)
  // With RabbitMQ or Redis this command opens no connection to the database, because this machine may not reach it. The URL is a
  // placeholder.
  const config =
    parsed.broker.kind === 'postgres' ? parsed : { ...parsed, databaseUrl: parsed.databaseUrl ?? 'postgresql://localhost' }
  const log = silentLog()
  const database = createDatabase(config, { name: 'control', log })
  const broker = await chooseBroker(database, config, { name: 'control', log })
  let transport: ControlTransport | undefined
  try {
    transport = await brokerAnswers(config, broker.control(), timeoutMs)
    const onAnswer = values.json ? undefined : show
    const question = {
      method: asked.method,
      given: asked.given,
      destination,
      timeoutMs: asked.answered ? timeoutMs : 0,
      onAnswer,
    }
    const answers = await brokerAnswers(config, askWorkers(transport, question), timeoutMs)
    if (!asked.answered) process.stdout.write(`${asked.method} sent\n`)
    else if (answers.size === 0) throw new AppError('NO_WORKER_ANSWERED', `no worker answered within ${values.timeout} s`)
    else if (values.json) process.stdout.write(`${JSON.stringify(Object.fromEntries(answers))}\n`)
    else process.stdout.write(`\n${answers.size} ${answers.size === 1 ? 'node' : 'nodes'} online.\n`)
    return [...answers.values()].some(isError) ? 1 : 0
  } finally {
    // The transport is closed before its connection, so that the last message is certainly sent.
    if (transport !== undefined)
      await waitAtMost(
        transport.close().catch(() => {}),
        CLOSING_MS,
      )
    await waitAtMost(
      broker.close().catch(() => {}),
      CLOSING_MS,
    )
    await database.close()
  }
}

const isError = (answer: unknown): boolean => typeof answer === 'object' && answer !== null && 'error' in answer

/** Prints an answer as `celery inspect` does. */
function show(worker: string, answer: unknown): void {
  const body = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : undefined
  const said = body?.error ?? body?.ok ?? answer
  process.stdout.write(`->  ${worker}: ${isError(answer) ? 'ERROR' : 'OK'}\n${indented(textOf(said))}\n`)
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return JSON.stringify(value, null, 2) ?? ''
  if (value.length === 0) return '- empty -'
  return value.map((item) => `* ${typeof item === 'string' ? item : JSON.stringify(item)}`).join('\n')
}

const indented = (text: string) => text.replace(/^/gm, '    ')

/** Parses the options and words of a command line. */
export const parseAsk = (argv: readonly string[]) => parseArgs({ args: [...argv], options: askOptions, allowPositionals: true })
