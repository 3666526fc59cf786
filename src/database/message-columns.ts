import type { Message } from '../message/message.ts'
import { sparseJson } from '../message/sparse-json.ts'

/**
 * The seven arrays of statements with many messages: queue, priority, id, task, headers, properties, body. Headers are stored without id and
 * task, which have columns, and as NULL if none is left.
 */
export function messageColumns(messages: readonly Message[]): unknown[][] {
  const columns: unknown[][] = [[], [], [], [], [], [], []]
  for (const message of messages) {
    const { id, task, ...headers } = message.headers
    const row = [message.queue, message.priority, id, task, sparseJson(headers), sparseJson(message.properties), message.body]
    for (const [index, value] of row.entries()) columns[index]?.push(value)
  }
  return columns
}
