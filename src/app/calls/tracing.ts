import { createRequire } from 'node:module'
import type * as Api from '@opentelemetry/api'

/** The key in globalThis that a registered OpenTelemetry SDK sets (@opentelemetry/api 1.x, internal/global-utils). */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')
const NAME = 'onedyno'

let api: typeof Api | false | undefined

/**
 * Returns the OpenTelemetry API of the application. If no SDK is registered, returns undefined and loads nothing. HOT: once per
 * task.
 */
function openTelemetry(): typeof Api | undefined {
  if (api === undefined && REGISTERED in globalThis) {
    try {
      api = createRequire(import.meta.url)('@opentelemetry/api') as typeof Api
    } catch {
      api = false // Only the application may have the package installed. Without it, trace headers are still passed on to children.
    }
  }
  return api || undefined
}

/** W3C Trace Context (https://www.w3.org/TR/trace-context/) as headers of a message. */
export interface TraceHeaders {
  readonly traceparent?: string
  readonly tracestate?: string
}

/**
 * Returns headers that make the run of the task a part of the sender's trace; undefined if there is no trace. HOT: once per sent
 * task.
 */
export function traceHeaders(task: string): TraceHeaders | undefined {
  const otel = openTelemetry()
  if (otel === undefined) return undefined
  const attributes = attributesOf(task, 'send')
  const span = otel.trace.getTracer(NAME).startSpan(`send ${task}`, { kind: otel.SpanKind.PRODUCER, attributes })
  const headers: Record<string, string> = {}
  otel.propagation.inject(otel.trace.setSpan(otel.context.active(), span), headers)
  span.end()
  const { traceparent, tracestate } = headers
  return traceparent === undefined ? undefined : { traceparent, ...(tracestate !== undefined && { tracestate }) }
}

/** Runs `work` in a span whose parent is the sender's span. Without an SDK it only runs `work`. */
export function traceRun<T>(
  run: {
    readonly id: string
    readonly task: string
    readonly queue: string
    readonly headers: Readonly<Record<string, unknown>>
  },
  work: () => Promise<T>,
): Promise<T> {
  const otel = openTelemetry()
  if (otel === undefined) return work()
  const parent = otel.propagation.extract(otel.context.active(), traceOf(run.headers) ?? {})
  const attributes = {
    ...attributesOf(run.task, 'process'),
    'messaging.destination.name': run.queue,
    'messaging.message.id': run.id,
  }
  return otel.trace
    .getTracer(NAME)
    .startActiveSpan(`process ${run.task}`, { kind: otel.SpanKind.CONSUMER, attributes }, parent, async (span) => {
      try {
        return await work()
      } catch (error) {
        span.recordException(error instanceof Error ? error : String(error))
        span.setStatus({ code: otel.SpanStatusCode.ERROR })
        throw error
      } finally {
        span.end()
      }
    })
}

/** Returns the trace headers of a message. Children inherit them if no SDK is registered in this process. */
export function traceOf({ traceparent, tracestate }: Readonly<Record<string, unknown>>): TraceHeaders | undefined {
  if (typeof traceparent !== 'string') return undefined
  return { traceparent, ...(typeof tracestate === 'string' && { tracestate }) }
}

/** Returns span attributes with the names of the semantic conventions for messaging (OpenTelemetry 1.27). */
const attributesOf = (task: string, operation: 'send' | 'process') => ({
  'messaging.system': 'celery',
  'messaging.operation.type': operation,
  'messaging.operation.name': `${operation} ${task}`,
})
