import type { Message, MessageHeaders, MessageProperties } from '../message/message.ts'
import { sparseJson } from '../message/sparse-json.ts'

/** A row of `message`, as claimed. */
export interface MessageRow {
  /** bigint, which pg gives as text. */
  readonly id: string
  readonly queue: string
  readonly priority: number
  readonly deaths: number
  readonly task_id: string
  readonly task: string
  readonly headers: string | null
  readonly properties: string | null
  readonly body: string
  /** Redelivered, and its outcome is already stored. */
  readonly done: boolean
}

/** The seven arrays of `message-publish.sql`. Headers are stored without id and task, which have columns, and not at all when nothing is left. */
export function toColumns(messages: readonly Message[]): unknown[][] {
  const columns: unknown[][] = [[], [], [], [], [], [], []]
  for (const message of messages) {
    const { id, task, ...headers } = message.headers
    const row = [message.queue, message.priority, id, task, sparseJson(headers), sparseJson(message.properties), message.body]
    for (const [index, value] of row.entries()) columns[index]?.push(value)
  }
  return columns
}

/** HOT: once per task. */
export function toMessage(row: MessageRow): Message {
  const headers = row.headers === null ? undefined : (JSON.parse(row.headers) as MessageHeaders)
  return {
    headers: headers === undefined ? { id: row.task_id, task: row.task } : { ...headers, id: row.task_id, task: row.task },
    properties: row.properties === null ? {} : (JSON.parse(row.properties) as MessageProperties),
    body: row.body,
    queue: row.queue,
    priority: row.priority,
  }
}
