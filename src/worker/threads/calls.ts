import type { TransactionClient } from '../../app/apply-options.ts'
import type { Answer, Argument, FromThread, ToThread } from './protocol.ts'
import { carry, revive } from './thrown.ts'

type Settled = (answer: Answer) => void
type Query = Extract<ToThread, { tag: 'query' }>
type Call = Extract<FromThread, { tag: 'call' }>

/** Creates the thread's side of calls of the main thread. Each call waits for its answer. */
export function createCalls(send: (message: FromThread) => void) {
  const waiting = new Map<number, { readonly settled: Settled; readonly client: TransactionClient | undefined }>()
  let last = 0
  return {
    async call(method: string, args: readonly unknown[]): Promise<unknown> {
      const call = ++last
      const signal = args.find((arg) => arg instanceof AbortSignal)
      const cancel = () => send({ tag: 'cancel', call })
      try {
        const answer = await new Promise<Answer>((settled) => {
          waiting.set(call, { settled, client: args.find(isClient) })
          send({ tag: 'call', call, method, args: args.map(toArgument) })
          signal?.addEventListener('abort', cancel, { once: true })
        })
        if (answer.tag === 'answer') return answer.value
        throw revive(answer.thrown)
      } finally {
        waiting.delete(call)
        signal?.removeEventListener('abort', cancel)
      }
    },
    answered: (answer: Answer) => waiting.get(answer.to)?.settled(answer),
    /** Returns the connection that was passed to this call. */
    clientOf: (call: number) => waiting.get(call)?.client,
  }
}

/** Runs a statement that the main thread sent, on a connection of this thread. */
export async function answerQuery(query: Query, client: TransactionClient | undefined, send: (answer: Answer) => void) {
  const to = query.query
  try {
    if (client === undefined) throw new Error('the transaction of a thread was used after its call had ended')
    const result = (await client.query(query.text, [...query.values])) as { readonly rows?: unknown } | undefined
    // Only the rows are sent: a result of `pg` also has functions, which cannot be cloned.
    send({ tag: 'answer', to, value: { rows: result?.rows } })
  } catch (thrown) {
    send({ tag: 'refused', to, thrown: carry(thrown) })
  }
}

/** Functions of the main thread that threads can call. */
export type Services = Readonly<Record<string, (...args: never[]) => unknown>>

/** Creates the main thread's side of calls: it answers the calls of one thread. */
export function createAnswers(services: Services, send: (message: ToThread) => void) {
  const signals = new Map<number, AbortController>()
  const queries = new Map<number, Settled>()
  let last = 0

  const clientFor = (call: number): TransactionClient => ({
    async query(text, values = []) {
      const query = ++last
      const answer = await new Promise<Answer>((settled) => {
        queries.set(query, settled)
        send({ tag: 'query', query, call, text, values })
      })
      queries.delete(query)
      if (answer.tag === 'refused') throw revive(answer.thrown)
      return answer.value
    },
  })

  const fromArgument = (call: number, argument: Argument): unknown => {
    if (argument.kind === 'plain') return argument.value
    if (argument.kind === 'client') return clientFor(call)
    const controller = new AbortController()
    if (argument.aborted) controller.abort()
    signals.set(call, controller)
    return controller.signal
  }

  return {
    async answer({ call, method, args }: Call): Promise<void> {
      try {
        const service = Object.hasOwn(services, method) ? services[method] : undefined
        if (service === undefined) throw new Error(`the main thread has no function ${method} for threads`)
        const value = await service(...(args.map((argument) => fromArgument(call, argument)) as never[]))
        send({ tag: 'answer', to: call, value })
      } catch (thrown) {
        send({ tag: 'refused', to: call, thrown: carry(thrown) })
      } finally {
        signals.delete(call)
      }
    },
    cancel: (call: number) => signals.get(call)?.abort(),
    answered: (answer: Answer) => queries.get(answer.to)?.(answer),
    /** Called when the thread has ended. Aborts its calls and rejects the queries that wait for its answer. */
    over() {
      for (const controller of signals.values()) controller.abort()
      for (const [to, settled] of queries) settled({ tag: 'refused', to, thrown: carry(new Error('the thread has ended')) })
    },
  }
}

const isClient = (arg: unknown): arg is TransactionClient =>
  typeof arg === 'object' && arg !== null && typeof (arg as TransactionClient).query === 'function'

function toArgument(arg: unknown): Argument {
  if (arg instanceof AbortSignal) return { kind: 'signal', aborted: arg.aborted }
  return isClient(arg) ? { kind: 'client' } : { kind: 'plain', value: arg }
}
