import { hostname } from 'node:os'
import { parseJson } from './python-json.ts'
import type { Embed } from './signature.ts'
import { UndecodableMessageError } from './undecodable.ts'

/**
 * The headers of Celery's message protocol 2. As in Celery, only `id` and `task` are required; an absent header has its default
 * value. `encodeCelery` adds the default values for brokers that Python workers read.
 */
export interface MessageHeaders {
  readonly id: string
  readonly task: string
  /** The earliest time to run, in ISO 8601, UTC. */
  readonly eta?: string | null
  /** The latest time to start, in ISO 8601, UTC. */
  readonly expires?: string | null
  /** The number of attempts before this one. */
  readonly retries?: number
  /** Time limits in seconds: [hard, soft]. */
  readonly timelimit?: readonly [number | null, number | null]
  readonly root_id?: string | null
  readonly parent_id?: string | null
  readonly group?: string | null
  readonly group_index?: number | null
  /** The name that logs and monitors show instead of the task's name. */
  readonly shadow?: string | null
  readonly ignore_result?: boolean
  readonly lang?: string
  readonly argsrepr?: string
  readonly kwargsrepr?: string
  readonly origin?: string
  readonly stamped_headers?: readonly string[] | null
  readonly stamps?: Readonly<Record<string, unknown>>
  /** Any other name is a custom header of the producer. */
  readonly [custom: string]: unknown
}

/** The AMQP properties that onedyno reads. */
export interface MessageProperties {
  readonly reply_to?: string
  readonly correlation_id?: string
  readonly content_type?: string
  readonly content_encoding?: string
}

/** A task call in the form that all brokers carry. */
export interface Message {
  readonly headers: MessageHeaders
  readonly properties: MessageProperties
  /** The body as JSON text: `[args, kwargs, embed]`. */
  readonly body: string
  readonly queue: string
  /** 0 to 255. Higher priorities run first. */
  readonly priority: number
}

/** A decoded body. `embed` (callbacks, errbacks, chain, chord) says how the workflow continues. */
export interface Body {
  readonly args: readonly unknown[]
  readonly kwargs: Readonly<Record<string, unknown>>
  readonly embed: Embed
}

export const DEFAULT_QUEUE = 'celery'

export interface MessageOptions {
  readonly id: string
  readonly task: string
  readonly args: readonly unknown[]
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined
  readonly queue?: string | undefined
  readonly priority?: number | undefined
  readonly eta?: Date | undefined
  readonly expires?: Date | undefined
  readonly headers?: Readonly<Record<string, unknown>> | undefined
  readonly embed?: Embed | undefined
  readonly properties?: MessageProperties | undefined
}

/** Builds a message without headers that have default values. The arguments must have passed `checkJson`. */
export function createMessage(options: MessageOptions): Message {
  const { id, task, args, kwargs = {}, eta, expires } = options
  const headers: Record<string, unknown> = { ...options.headers, id, task }
  if (eta !== undefined) headers.eta = eta.toISOString()
  if (expires !== undefined) headers.expires = expires.toISOString()
  return {
    headers: headers as MessageHeaders,
    properties: options.properties ?? {},
    body: `[${JSON.stringify(args)},${JSON.stringify(kwargs)},${options.embed === undefined ? '{}' : JSON.stringify(options.embed)}]`,
    queue: options.queue ?? DEFAULT_QUEUE,
    priority: options.priority ?? 0,
  }
}

const origin = () => {
  sender ??= `gen${process.pid}@${hostname()}`
  return sender
}
let sender: string | undefined

/**
 * Returns all headers that Celery sends, in Celery's order (docs/internals/wire-protocol.md, "Headers"), for brokers that Python
 * workers read.
 */
export function fullHeaders(message: Message): MessageHeaders {
  const { id, task, ...given } = message.headers
  return {
    lang: 'js',
    task,
    id,
    shadow: null,
    eta: null,
    expires: null,
    group: null,
    group_index: null,
    retries: 0,
    timelimit: [null, null],
    root_id: id,
    parent_id: null,
    ...representations(message.body),
    origin: origin(),
    ignore_result: false,
    replaced_task_nesting: 0,
    stamped_headers: null,
    stamps: {},
    ...given,
  }
}

/**
 * Returns the texts that monitors show for the arguments. A long body is truncated instead of parsed, because the sender waits.
 */
function representations(body: string): { argsrepr: string; kwargsrepr: string } {
  if (body.length > 8192) return { argsrepr: body.slice(1, 1025), kwargsrepr: '{...}' }
  try {
    const { args, kwargs } = decodeBody(body)
    return { argsrepr: JSON.stringify(args).slice(0, 1024), kwargsrepr: JSON.stringify(kwargs).slice(0, 1024) }
  } catch {
    return { argsrepr: '(not readable)', kwargsrepr: '(not readable)' }
  }
}

/**
 * Decodes a body. HOT: once per task.
 * @throws UndecodableMessageError if the text is neither `[args, kwargs, embed]` nor an object of protocol 1
 */
export function decodeBody(text: string): Body {
  const value = parseJson(text)
  if (Array.isArray(value)) return checkBody(value[0], value[1] ?? {}, value[2] ?? {}, value.length)
  if (typeof value === 'object' && value !== null && 'args' in value) return protocol1(value as Record<string, unknown>)
  throw new UndecodableMessageError('the body must be a list [args, kwargs, embed]')
}

/**
 * Decodes a body of protocol 1: one object that has the callbacks beside the arguments (docs/internals/wire-protocol.md,
 * "Protocol 1").
 */
function protocol1(value: Record<string, unknown>): Body {
  const { callbacks = null, errbacks = null, chord = null } = value
  return checkBody(value.args, value.kwargs ?? {}, { callbacks, errbacks, chain: null, chord }, 3)
}

function checkBody(args: unknown, kwargs: unknown, embed: unknown, length: number): Body {
  if (length !== 3) throw new UndecodableMessageError(`the body must have 3 elements [args, kwargs, embed], not ${length}`)
  if (!Array.isArray(args)) throw new UndecodableMessageError('args must be a list')
  if (!isRecord(kwargs)) throw new UndecodableMessageError('kwargs must be an object')
  if (!isRecord(embed)) throw new UndecodableMessageError('embed must be an object')
  return { args, kwargs, embed }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Parses a time. Celery also writes times without a zone, which mean UTC.
 * @returns milliseconds since the epoch, or NaN if the text is not a time
 */
export function parseCeleryTime(iso: string): number {
  if (!/^\d{4}-\d{2}-\d{2}/.test(iso)) return Number.NaN
  const zoned = /(?:Z|[+-]\d{2}:?\d{2})$/i.test(iso.slice(10))
  return Date.parse(zoned || iso.length === 10 ? iso : `${iso}Z`)
}
