import type { Outcome } from '../app/outcome.ts'

/** What a Celery client with the backend rpc:// waits for (reference/celery-protocol.md §3.2). `result` is JSON already. */
export const replyBody = ({ id, state, result, traceback }: Outcome): string =>
  `{"task_id": ${JSON.stringify(id)}, "status": "${state}", "result": ${result ?? 'null'}, "traceback": ${JSON.stringify(traceback)}, "children": []}`
