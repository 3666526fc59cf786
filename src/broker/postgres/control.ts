import { createHash, randomBytes } from 'node:crypto'
import type { Database } from '../../database/database.ts'
import type { Log } from '../../log.ts'
import { type ControlMessage, type ControlTransport, readJson, type Stop } from '../control-transport.ts'

/**
 * Bytes of a message in one part. A NOTIFY carries less than 8000 bytes (PostgreSQL 18, NOTIFY), and base64 turns three bytes
 * into four.
 */
const PART_BYTES = 5400
/**
 * Most incomplete messages that are kept; beyond the limit the oldest is dropped. A message stays incomplete if the connection
 * breaks or its sender ends before the last part.
 */
const MAX_OPEN = 100

/** One part of a message. */
interface Part {
  readonly id: string
  readonly at: number
  readonly of: number
  /** A piece of the message's JSON text, in base64. */
  readonly data: string
}

/**
 * Remote control by NOTIFY, on the existing connection of the listener. Carries no events, because each event would be a commit
 * that other commits wait for.
 */
export function createPostgresControl(database: Database, log: Log): ControlTransport {
  const stops = new Set<Stop>()
  const requests = database.channel('control')
  const repliesOf = (address: string) =>
    database.channel(`reply.${createHash('sha1').update(address).digest('hex').slice(0, 12)}`)

  const send = async (channel: string, message: ControlMessage) => {
    for (const part of partsOf(message))
      await database.listener.query('SELECT pg_notify($1, $2)', [channel, JSON.stringify(part)])
  }

  const subscribe = async (channel: string, onMessage: (message: ControlMessage) => void): Promise<Stop> => {
    const open = new Map<string, string[]>()
    const subscription = await database.listener.listen(channel, (payload) => {
      const message = joined(open, readJson(payload) as Part | undefined)
      if (message !== undefined) onMessage(message)
    })
    const stop = async () => {
      if (stops.delete(stop)) await subscription.stop().catch(() => {})
    }
    stops.add(stop)
    return stop
  }

  return {
    carriesEvents: false,
    serve: (_worker, onRequest) => subscribe(requests, onRequest),
    collect: (address, onReply) => subscribe(repliesOf(address), onReply),
    broadcast: (request) => send(requests, request),
    reply(to, reply) {
      send(repliesOf(to.routing_key), reply).catch((error: Error) =>
        log.debug({ reason: error.message }, 'control reply not sent'),
      )
    },
    emit() {},
    async close() {
      for (const stop of [...stops]) await stop()
    },
  }
}

function partsOf(message: ControlMessage): Part[] {
  const bytes = Buffer.from(JSON.stringify(message))
  const of = Math.ceil(bytes.length / PART_BYTES)
  const id = randomBytes(6).toString('hex')
  return Array.from({ length: of }, (_, at) => ({
    id,
    at,
    of,
    data: bytes.subarray(at * PART_BYTES, (at + 1) * PART_BYTES).toString('base64'),
  }))
}

/**
 * Joins parts to messages. The parts of one message arrive in order, but mixed with parts of other senders.
 * @returns the message when its last part arrives, else undefined
 */
function joined(open: Map<string, string[]>, part: Part | undefined): ControlMessage | undefined {
  if (typeof part?.data !== 'string') return undefined
  const parts = open.get(part.id) ?? []
  parts.push(part.data)
  open.set(part.id, parts)
  for (const [oldest] of open) if (open.size > MAX_OPEN) open.delete(oldest)
  if (part.at + 1 < part.of) return undefined
  open.delete(part.id)
  if (parts.length !== part.of) return undefined
  return readJson(Buffer.concat(parts.map((data) => Buffer.from(data, 'base64'))).toString()) as ControlMessage | undefined
}
