import { context, propagation, type Span, type SpanOptions, trace } from '@opentelemetry/api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { traceHeaders, traceOf, traceRun } from '../../../../src/app/calls/tracing.ts'

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('tracing without a registered OpenTelemetry SDK', () => {
  it('adds no headers to calls and makes no spans for runs', async () => {
    expect(traceHeaders('tasks.echo')).toBeUndefined()
    expect(await traceRun({ id: 'a', task: 'tasks.echo', queue: 'celery', headers: {} }, async () => 7)).toBe(7)
  })

  it.each([
    [
      'returns the trace headers of a message',
      { traceparent: PARENT, tracestate: 'a=b' },
      { traceparent: PARENT, tracestate: 'a=b' },
    ],
    ['ignores a traceparent that is not a string', { traceparent: 7 }, undefined],
    ['returns undefined without a traceparent', {}, undefined],
  ])('%s', (_name, headers, passed) => {
    expect(traceOf(headers)).toEqual(passed)
  })
})

describe('tracing with a registered OpenTelemetry SDK', () => {
  const spans: { name: string; options: SpanOptions; parent: string; ended: boolean; error: boolean }[] = []

  beforeAll(() => {
    // A minimal SDK: a tracer that records spans, and a propagator that carries one text.
    const startSpan = (name: string, options: SpanOptions = {}, from = context.active()) => {
      const span = { name, options, parent: trace.getSpan(from)?.spanContext().spanId ?? '', ended: false, error: false }
      spans.push(span)
      const spanContext = { traceId: '0'.repeat(32), spanId: name, traceFlags: 1 }
      const ends = {
        end() {
          span.ended = true
        },
        setStatus() {
          span.error = true
        },
        recordException() {},
      }
      return { ...ends, spanContext: () => spanContext, isRecording: () => true } as unknown as Span
    }
    const startActiveSpan = (name: string, options: SpanOptions, from: never, work: (span: Span) => unknown) =>
      work(startSpan(name, options, from))
    trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan, startActiveSpan }) as never })
    propagation.setGlobalPropagator({
      inject: (from, carrier) => Object.assign(carrier as object, { traceparent: trace.getSpan(from)?.spanContext().spanId }),
      extract: (from, carrier) =>
        trace.setSpanContext(from, {
          traceId: '0'.repeat(32),
          spanId: (carrier as { traceparent: string }).traceparent,
          traceFlags: 1,
        }),
      fields: () => [],
    })
  })
  afterAll(() => {
    trace.disable()
    propagation.disable()
  })

  it('makes a span for a call and puts the trace into its message', () => {
    expect(traceHeaders('tasks.echo')).toEqual({ traceparent: 'send tasks.echo' })
    expect(spans.at(-1)).toMatchObject({ name: 'send tasks.echo', ended: true, options: { kind: 3 } })
  })

  it('makes a span for a run, with the span of the call as its parent', async () => {
    const run = { id: 'a', task: 'tasks.echo', queue: 'mail', headers: { traceparent: PARENT } }
    expect(await traceRun(run, async () => 7)).toBe(7)
    const attributes = { 'messaging.destination.name': 'mail', 'messaging.message.id': 'a' }
    expect(spans.at(-1)).toMatchObject({ parent: PARENT, ended: true, error: false, options: { kind: 4, attributes } })
  })

  it('marks the span of a failed run and throws the same error', async () => {
    const run = { id: 'a', task: 'tasks.echo', queue: 'mail', headers: {} }
    await expect(traceRun(run, () => Promise.reject(new RangeError('no')))).rejects.toThrow(RangeError)
    expect(spans.at(-1)).toMatchObject({ ended: true, error: true })
  })
})
