import { AppError } from '../../errors.ts'
import type { Message } from '../../message/message.ts'
import type { ApplyOptions, TransactionClient } from '../apply-options.ts'
import type { Backend } from '../backend.ts'
import { type AnySignature, isSignature } from '../canvas/signature.ts'
import { callOf } from '../canvas/signature-options.ts'
import { checkCall, NO_OPTIONS, refuse } from '../check-options.ts'
import type { AsyncResult } from '../results/handles.ts'
import type { Task } from '../task.ts'
import { type Prepared, prepare } from './build.ts'
import { currentTask } from './current-task.ts'
import type { Routes } from './routes.ts'
import type { UniqueClaim } from './unique.ts'

/** A task, or the name of a task that need not be registered in this process. */
export type EnqueueTask =
  | string
  | { readonly name: string; applyAsync(args: never, options?: ApplyOptions): Promise<AsyncResult> }

type ArgsOf<Of> = Of extends Task<infer Args, infer _Result> ? Args : unknown[]
type ResultOf<Of> = Of extends Task<infer _Args, infer Result> ? Result : unknown

/** One call of `app.enqueue`. */
export type EnqueueItem<Of = EnqueueTask> = {
  readonly task: Of
  /** `transaction` is an option of the whole list, not of a single call. */
  readonly options?: Omit<ApplyOptions, 'transaction'> | undefined
} & ([] extends ArgsOf<Of> ? { readonly args?: Readonly<ArgsOf<Of>> | undefined } : { readonly args: Readonly<ArgsOf<Of>> })

export type EnqueueItems<Tasks extends readonly EnqueueTask[]> = { readonly [Index in keyof Tasks]: EnqueueItem<Tasks[Index]> }

/** The handles that `app.enqueue` returns, each typed with the result of its task. */
export type EnqueueResults<Tasks extends readonly EnqueueTask[]> = {
  -readonly [Index in keyof Tasks]: AsyncResult<ResultOf<Tasks[Index]>>
}

export interface Sender {
  message(name: string, args: readonly unknown[], options?: ApplyOptions): Message
  send(name: string, args: readonly unknown[], options?: ApplyOptions): Promise<AsyncResult>
  enqueue(
    items: readonly (EnqueueItem | AnySignature)[],
    options?: { readonly transaction?: TransactionClient },
  ): Promise<AsyncResult[]>
}

export interface SenderOptions {
  readonly task: (name: string) => (Task & { check(args: readonly unknown[]): void }) | undefined
  readonly routes: Routes
  readonly connect: () => Promise<Backend>
  readonly handle: (id: string) => AsyncResult
}

/** Creates the sender of the app. It checks all calls of a list before it sends any of them. */
export function createSender({ task: find, routes, connect, handle }: SenderOptions): Sender {
  const ready = (name: string, args: readonly unknown[], options: ApplyOptions): Prepared => {
    const task = find(name)
    checkCall(name, args, options)
    task?.check(args)
    const route = routes.find(name, args, options)
    return prepare({ name, args, options, task: task?.options, route, parent: currentTask.getStore() })
  }

  /** Sends calls. @returns handles in the order of the calls */
  const dispatch = async (calls: readonly Prepared[], transaction?: TransactionClient): Promise<AsyncResult[]> => {
    const backend = await connect()
    const claimed = calls.some(({ unique }) => unique !== undefined) ? await claim(backend, calls, transaction) : undefined
    const wanted = claimed?.wanted ?? calls
    try {
      await publishOrKeep(backend, wanted, transaction)
    } catch (error) {
      // With a transaction, its rollback already frees the claim.
      if (claimed !== undefined && transaction === undefined)
        await backend.notSent(claimed.claims, !(error instanceof AppError && error.code === 'BROKER_UNREACHABLE'))
      throw error
    }
    const parent = currentTask.getStore()
    if (parent !== undefined) for (const { message } of wanted) parent.sent(message.headers.id)
    if (claimed === undefined) return calls.map(({ message }) => handle(message.headers.id))
    return claimed.holders.map(({ id, deduplicated }) => (deduplicated ? { ...handle(id), deduplicated } : handle(id)))
  }

  return {
    message: (name, args, options = NO_OPTIONS) => ready(name, args, options).message,
    async send(name, args, options = NO_OPTIONS) {
      const [result] = await dispatch([ready(name, args, options)], options.transaction)
      return result!
    },
    async enqueue(items, { transaction } = {}) {
      if (!Array.isArray(items)) refuse('the first argument of enqueue() must be a list of { task, args, options }')
      const calls = items.map((item, index) => atIndex(index, () => readyItem(item)))
      return calls.length === 0 ? [] : dispatch(calls, transaction)
    },
  }

  function readyItem(item: EnqueueItem | AnySignature): Prepared {
    if (isSignature(item)) {
      const call = callOf(item.toJSON())
      return ready(call.task, call.args, call.options)
    }
    const { task, args = [], options = NO_OPTIONS } = item ?? {}
    const name = typeof task === 'string' ? task : task?.name
    if (typeof name !== 'string') refuse('task must be a task or the name of a task')
    if ((options as ApplyOptions)?.transaction !== undefined)
      refuse('an item cannot have its own transaction: pass it for the whole list, enqueue(items, { transaction })')
    return ready(name, args, options)
  }
}

/**
 * Publishes the messages if all of them are due at once; otherwise writes all of them to the outbox. Both take one round trip.
 */
async function publishOrKeep(
  backend: Backend,
  calls: readonly Prepared[],
  transaction: TransactionClient | undefined,
): Promise<void> {
  if (calls.length === 0) return
  const now = transaction === undefined && calls.every(({ due }) => due === undefined)
  if (now) await backend.publish(calls.map(({ message }) => message))
  else await backend.keep(calls, transaction)
}

interface Claimed {
  /** The calls to send. A unique call has the id that is stored with its key. */
  readonly wanted: readonly Prepared[]
  readonly claims: readonly UniqueClaim[]
  readonly holders: readonly { readonly id: string; readonly deduplicated: boolean }[]
}

/**
 * Claims the keys of unique calls. A call whose key is already held, by an earlier call or by a call before it in this list, is
 * not sent; it gets the id of the holder.
 */
async function claim(backend: Backend, calls: readonly Prepared[], transaction?: TransactionClient): Promise<Claimed> {
  const first = new Map<string, UniqueClaim>()
  for (const { unique } of calls) if (unique !== undefined && !first.has(unique.key)) first.set(unique.key, unique)
  const asked = [...first.values()]
  const answers = await backend.claim(asked, transaction)
  const holders = new Map(asked.map(({ key }, index) => [key, answers[index]!]))
  const wanted: Prepared[] = []
  const found = calls.map((call) => {
    const { unique, message } = call
    if (unique === undefined) {
      wanted.push(call)
      return { id: message.headers.id, deduplicated: false }
    }
    const { id, taken } = holders.get(unique.key)!
    const sends = taken && first.get(unique.key) === unique
    if (sends) wanted.push(id === message.headers.id ? call : { ...call, message: withId(message, id) })
    return { id, deduplicated: !sends }
  })
  const claims = asked.flatMap((unique) => {
    const { id, taken } = holders.get(unique.key)!
    return taken ? [{ ...unique, id }] : []
  })
  return { wanted, claims, holders: found }
}

const withId = (message: Message, id: string): Message => ({ ...message, headers: { ...message.headers, id } })

/** Runs `work`. If it throws, the index of the call is added to the error. */
function atIndex<T>(index: number, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, `item ${index}: ${error.message}`, { cause: error })
  }
}
