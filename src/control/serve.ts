import type { ControlMessage, ControlTransport, ReplyTo, Stop } from '../broker/control-transport.ts'
import { createMutex } from '../concurrency/mutex.ts'
import type { Log } from '../log.ts'
import { CONTROL } from './commands.ts'
import { isAddressed } from './destination.ts'
import { ALIASES, INSPECT } from './inspect.ts'
import type { Arguments, Command, Panel } from './panel.ts'

interface Request {
  readonly method: string
  readonly arguments?: Arguments | null
  readonly destination?: readonly string[] | null
  readonly pattern?: string | null
  readonly matcher?: string | null
  readonly ticket?: string
  readonly reply_to?: ReplyTo
}

/** Commands that are not logged: read-only commands, and commands that monitors repeat every few seconds. */
const QUIET = new Set(['enable_events', 'heartbeat', 'hello', ...Object.keys(INSPECT), ...Object.keys(ALIASES)])

/**
 * Requests that expired longer ago than this are dropped. The clocks of two machines may differ by some seconds. Milliseconds.
 */
const CLOCK_TOLERANCE_MS = 60_000

/** Answers requests one after the other, because `add_consumer` and `cancel_consumer` of one client must keep their order. */
export function serveControl(transport: ControlTransport, panel: Panel, log: Log): Promise<Stop> {
  const answers = createMutex()
  return transport.serve(panel.hostname, (message) => {
    panel.clock.adjust(message.headers.clock)
    const request = requestOf(message, panel.hostname)
    if (request === undefined) return
    answers
      .run(() => answer(transport, panel, request, log))
      .catch((err) => log.error({ err, method: request.method }, 'remote control request not answered'))
  })
}

async function answer(transport: ControlTransport, panel: Panel, request: Request, log: Log): Promise<void> {
  const reply = await run(panel, request, log)
  const { reply_to, ticket } = request
  if (reply === undefined || reply_to === undefined || ticket === undefined) return
  const headers = { ticket, clock: panel.clock.forward() }
  transport.reply(reply_to, { headers, body: { [panel.hostname]: reply } })
}

async function run(panel: Panel, { method, arguments: given }: Request, log: Log): Promise<unknown> {
  const command = find(method)
  if (command === undefined) return { error: `KeyError('${method}')` }
  if (!QUIET.has(method)) log.info({ method, ...given }, 'remote control')
  try {
    return await command(panel, given ?? {})
  } catch (error) {
    log.warn({ method, err: error }, 'remote control command failed')
    return { error: (error as Error).message }
  }
}

export function find(method: string): Command | undefined {
  const name = Object.hasOwn(ALIASES, method) ? (ALIASES[method] ?? method) : method
  for (const commands of [INSPECT, CONTROL]) if (Object.hasOwn(commands, name)) return commands[name]
  return undefined
}

/** Reads a request. @returns undefined if the message is for another worker, expired, or not a request */
function requestOf({ headers, body }: ControlMessage, hostname: string): Request | undefined {
  const request = body as Request | null
  if (typeof request?.method !== 'string') return undefined
  const { expires } = headers
  if (typeof expires === 'number' && expires > 0 && expires * 1000 + CLOCK_TOLERANCE_MS < Date.now()) return undefined
  return isAddressed(request, hostname) ? request : undefined
}
