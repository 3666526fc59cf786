import type { Message, MessageHeaders, MessageProperties } from '../../message/message.ts'

/** A claimed row of table `message`. */
export interface MessageRow {
  /** bigint, which pg returns as text. */
  readonly id: string
  readonly queue: string
  readonly priority: number
  readonly deaths: number
  readonly task_id: string
  readonly task: string
  readonly headers: string | null
  readonly properties: string | null
  readonly body: string
  /** For a redelivered message the last attempt whose outcome is stored (sql/queries/redelivery-count.sql); null: none. */
  readonly recorded: number | null
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
