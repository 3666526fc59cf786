import { createHash, randomBytes } from 'node:crypto'
import type { Database } from '../../database/database.ts'
import type { Log } from '../../log.ts'
import { type ControlMessage, type ControlTransport, readJson, type Stop } from '../control-transport.ts'

/** A NOTIFY carries less than 8000 bytes; base64 needs four for three of ours (PostgreSQL 18, NOTIFY). */
const PART_BYTES = 5400
/** Messages of which a part is still to come. The rest of one is never heard when the connection breaks, or its sender ends, in the middle. */
const MAX_OPEN = 100

/** One part of a message. */
interface Part {
  readonly id: string
  readonly at: number
  readonly of: number
  /** base64 */
  readonly data: string
}

/** Remote control by NOTIFY, on the connection that listens anyhow. Events are not carried: each would be a commit that all commits wait for. */
export function createPostgresControl(database: Database, log: Log): ControlTransport {
  const stops = new Set<Stop>()
  const requests = database.channel('control')
  const repliesOf = (address: string) =>
    database.channel(`reply.${createHash('sha1').update(address).digest('hex').slice(0, 12)}`)

  const send = async (channel: string, message: ControlMessage) => {
    for (const part of partsOf(message))
      await database.listener.query('SELECT pg_notify($1, $2)', [channel, JSON.stringify(part)])
  }

  const hear = async (channel: string, onMessage: (message: ControlMessage) => void): Promise<Stop> => {
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
    serve: (_worker, onRequest) => hear(requests, onRequest),
    collect: (address, onReply) => hear(repliesOf(address), onReply),
    broadcast: (request) => send(requests, request),
    reply(to, reply) {
      send(repliesOf(to.routing_key), reply).catch((error: Error) =>
        log.debug({ reason: error.message }, 'control answer not sent'),
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

/** Parts of one message come in order, those of several senders mixed. */
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
