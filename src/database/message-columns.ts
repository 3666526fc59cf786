import type { Message } from '../message/message.ts'

/**
 * Returns the seven arrays of statements with many messages: queue, priority, id, task, headers, properties, body. Id and task
 * have columns of their own, so the headers lack them. Empty headers become NULL.
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

/** Returns the JSON of an object, or null for an empty object, because default values are not stored. */
export function sparseJson(value: object): string | null {
  for (const _key in value) return JSON.stringify(value)
  return null
}
