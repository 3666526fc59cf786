import { traceOf, traceRun } from '../../app/calls/tracing.ts'
import type { Tracing } from './ports.ts'

/** Runs belong to the trace of whoever sent them, and what they send belongs to it too. */
export const tracing: Tracing = {
  run: ({ headers, queue }, work) => traceRun({ id: headers.id, task: headers.task, queue, headers }, work),
  inherited: ({ headers }) => (headers.traceparent === undefined ? undefined : traceOf(headers)),
}
