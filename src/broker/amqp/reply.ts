import type { Outcome } from '../../app/outcome.ts'
import type { Message } from '../../message/message.ts'

/** What a Celery client with the backend rpc:// waits for (reference/celery-protocol.md §3.2). `result` is JSON already. */
export const replyBody = ({ id, state, result, traceback }: Outcome): string =>
  `{"task_id": ${JSON.stringify(id)}, "status": "${state}", "result": ${result ?? 'null'}, "traceback": ${JSON.stringify(traceback)}, "children": []}`

/** Does a client wait for a reply? Processes of this application (`replyAddress`) read results where the worker writes them anyhow. */
export const isAnswered = ({ properties }: Message, ownAddress: string): boolean =>
  properties.reply_to !== undefined && properties.reply_to !== ownAddress
