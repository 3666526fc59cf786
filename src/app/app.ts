import { AppError } from '../errors.ts'
import type { Message } from '../message/message.ts'
import type { Signature } from '../message/signature.ts'
import type { ApplyOptions, TransactionClient } from './apply-options.ts'
import type { Backend } from './backend.ts'
import { createArgumentCheck } from './calls/arguments.ts'
import type { Revoke } from './calls/revoke.ts'
import { createRoutes, type RouteTarget } from './calls/routes.ts'
import { createSender, type EnqueueItems, type EnqueueResults, type EnqueueTask } from './calls/sender.ts'
import type { RouteOf } from './canvas/plan.ts'
import {
  type AnySignature,
  createSignature,
  createTaskSignatures,
  type HandleOf,
  type SetOptions,
  type TaskSignature,
  taskSignature,
} from './canvas/signature.ts'
import { createRouteOf, createSignatureSender } from './canvas/signature-sender.ts'
import { readSignature } from './canvas/signature-tree.ts'
import { checkRoute, checkTaskOptions, isText, refuse } from './check-options.ts'
import { createAsyncResult, findGroupResult } from './results/async-result.ts'
import type { AsyncResult, GroupResult } from './results/handles.ts'
import { checkRetryPolicy } from './retry-policy.ts'
import type { Task } from './task.ts'
import type { AfterHook, BeforeHook, TaskContext } from './task-context.ts'
import type { BoundTaskOptions, TaskOptions } from './task-options.ts'

export type { Backend } from './backend.ts'

/** Settings of a queue. When a worker starts, it writes them to the database unless the queue already has settings there. */
export interface QueueOptions {
  /** How many tasks of this queue may run at once, over all workers. With 1 they run in order. */
  readonly concurrency: number
}

/** Options for `app.signature(name)`. */
export interface SignatureOf extends SetOptions {
  readonly kwargs?: Readonly<Record<string, unknown>>
  /** true: the task does not receive the result of the task before it. Default false. */
  readonly immutable?: boolean
}

export interface App {
  /**
   * Registers a task and returns the handle that calls it. The types of arguments and result come from the function.
   * @throws AppError TASK_DUPLICATE, TASK_NAME_INVALID
   */
  task<Args extends unknown[], Result>(
    name: string,
    fn: (context: TaskContext, ...args: Args) => Result | Promise<Result>,
    options: BoundTaskOptions<Args, Result>,
  ): Task<Args, Result>
  task<Args extends unknown[], Result>(
    name: string,
    fn: (...args: Args) => Result | Promise<Result>,
    options?: TaskOptions<Args, Result>,
  ): Task<Args, Result>
  /** Registers a hook that the worker calls before each attempt of every task. */
  before(hook: BeforeHook): void
  /** Registers a hook that the worker calls after each attempt of every task. */
  after(hook: AfterHook): void
  readonly hooks: { readonly before: readonly BeforeHook[]; readonly after: readonly AfterHook[] }
  /** All registered tasks by name. */
  readonly tasks: ReadonlyMap<string, Task>
  /**
   * Enqueues a task by its name. The task need not be registered in this process: a Python worker may have it.
   * @throws as `Task.applyAsync`
   */
  sendTask(name: string, args: readonly unknown[], options?: ApplyOptions): Promise<AsyncResult>
  /** Builds and checks a message without sending it. @throws as `Task.applyAsync` */
  message(name: string, args: readonly unknown[], options?: ApplyOptions): Message
  /**
   * Sends many calls in one round trip. All calls are checked before any is sent. If a call is due later or `transaction` is
   * given, one statement writes all calls to the outbox, so that either all or none are queued.
   * @throws as `Task.applyAsync`; the error names the index of the call
   */
  enqueue<const Tasks extends readonly EnqueueTask[]>(
    items: EnqueueItems<Tasks>,
    options?: { readonly transaction?: TransactionClient },
  ): Promise<EnqueueResults<Tasks>>
  /** Sends many signatures, each of a single task. To wait for all of them together, send a group instead. */
  enqueue<const Signatures extends readonly AnySignature[]>(
    signatures: Signatures,
    options?: { readonly transaction?: TransactionClient },
  ): Promise<{ -readonly [Index in keyof Signatures]: HandleOf<Signatures[Index]> }>
  /**
   * Sets the queue and priority of the tasks whose names match a name, a glob (`feeds.*`) or a RegExp, if neither the call nor
   * the task sets them. Takes one pattern or an object of patterns. The first matching route in the order of adding is used.
   * @throws AppError TASK_OPTION_INVALID
   */
  route(pattern: string | RegExp, target: RouteTarget): void
  route(routes: Readonly<Record<string, RouteTarget>>): void
  /** Limits how many tasks of a queue run at once, over all workers. @throws AppError TASK_OPTION_INVALID */
  queue(name: string, options: QueueOptions): void
  readonly queues: ReadonlyMap<string, QueueOptions>
  asyncResult<Result = unknown>(id: string): AsyncResult<Result>
  /** Returns the handle of a group that was sent, or undefined if the group is unknown or forgotten. */
  groupResult<Results extends unknown[] = unknown[]>(id: string): Promise<GroupResult<Results> | undefined>
  /**
   * Creates a signature of a task, which need not be registered in this process. The caller states the type of the result.
   * @throws AppError ARGUMENTS_INVALID, VALUE_NOT_JSON, TASK_OPTION_INVALID
   */
  signature<Result = unknown>(name: string, args?: readonly unknown[], options?: SignatureOf): TaskSignature<unknown[], Result>
  /** Creates a signature from its JSON form. */
  signature<Result = unknown>(json: Signature): TaskSignature<unknown[], Result>
  /** Returns the default queue and priority of a task by its name, for code that continues a workflow. */
  readonly routeOf: RouteOf
  /**
   * Revokes tasks by id, by name or by schedule. The revocation is stored in the database, so that workers that start later also
   * refuse these tasks.
   * @returns the revoked ids, or the revoked task name.
   * @throws AppError SCHEDULE_UNKNOWN
   */
  readonly revoke: Revoke
  /** Gives the app its connections. A process calls it once, before the first task is sent. */
  connect(backend: Backend): void
  /** Closes the connections of the app, so that a program that used `delay()` can end. */
  close(): Promise<void>
}

interface Registered extends Task {
  check(args: readonly unknown[]): void
}

/**
 * Creates an application: a registry of tasks and a way to send them. `open` makes the connections when the first task is sent.
 * Nothing else needs a server, so tests can register tasks and read them without one.
 */
export function createRegistry(open: () => Promise<Backend>): App {
  const tasks = new Map<string, Registered>()
  const find = (name: string) => tasks.get(name)
  const backend = createLazyBackend(open)
  const { connect } = backend

  const asyncResult = <Result>(id: string): AsyncResult<Result> => createAsyncResult<Result>(id, connect)
  const routes = createRoutes((route, where) => checkRoute(route, `${where}: `))
  const queues = new Map<string, QueueOptions>()
  const sender = createSender({ task: find, routes, connect, handle: asyncResult })
  const routeOf = createRouteOf(find, routes)
  const signatures = createSignatureSender({ task: find, routeOf, connect })

  const register = (name: string, fn: (...args: never[]) => unknown, options: TaskOptions & { bind?: boolean } = {}): Task => {
    checkRegistration(name, options, tasks)
    const call = fn as (...args: unknown[]) => unknown
    const task: Registered = {
      name,
      options,
      check: options.args === undefined ? () => {} : createArgumentCheck(name, options.args),
      delay: (...args) => sender.send(name, args),
      applyAsync: (args, apply) => sender.send(name, args, apply),
      asyncResult,
      ...createTaskSignatures<unknown[], unknown>(name, signatures),
      run: async (context, args) => {
        const given = Object.keys(context.kwargs).length === 0 ? args : [...args, context.kwargs]
        return options.bind === true ? call(context, ...given) : call(...given)
      },
    }
    tasks.set(name, task)
    return task
  }

  const hooks = { before: [] as BeforeHook[], after: [] as AfterHook[] }

  return {
    task: register as App['task'],
    before: (hook) => void hooks.before.push(hook),
    after: (hook) => void hooks.after.push(hook),
    hooks,
    tasks,
    sendTask: sender.send,
    message: sender.message,
    enqueue: sender.enqueue as App['enqueue'],
    route: routes.add,
    queue(name, options) {
      checkQueue(name, options)
      queues.set(name, { concurrency: options.concurrency })
    },
    queues,
    asyncResult,
    groupResult: (async (id: string) => findGroupResult(id, connect)) as App['groupResult'],
    signature(of: string | Signature, args: readonly unknown[] = [], { kwargs, immutable, ...options }: SignatureOf = {}) {
      const json = typeof of === 'string' ? taskSignature(of, args, { kwargs, immutable, options }) : readSignature(of)
      return createSignature<TaskSignature<unknown[], never>>(json, signatures)
    },
    routeOf,
    revoke: async (unwanted, options) => (await connect()).revoke(unwanted, options),
    connect: backend.replace,
    close: backend.close,
  }
}

function checkRegistration(name: string, options: TaskOptions, tasks: ReadonlyMap<string, Task>): void {
  if (!/^[\w.:-]{1,200}$/.test(name))
    throw new AppError(
      'TASK_NAME_INVALID',
      `the name of a task must be a text of 1 to 200 characters, not ${JSON.stringify(name)}`,
    )
  if (tasks.has(name)) throw new AppError('TASK_DUPLICATE', `the task ${name} is registered twice`)
  checkTaskOptions(name, options)
  checkRetryPolicy(name, options)
}

function checkQueue(name: string, options: QueueOptions): void {
  if (!isText(name, 200)) refuse(`the name of a queue must be a text of 1 to 200 characters, not ${JSON.stringify(name)}`)
  const { concurrency } = options ?? {}
  if (!(Number.isSafeInteger(concurrency) && concurrency >= 1 && concurrency <= 1000))
    refuse(`the concurrency of queue ${name} must be a whole number from 1 to 1000, not ${concurrency}`)
}

/** Opens the backend at the first `connect`. If opening fails, the next `connect` tries again. */
function createLazyBackend(open: () => Promise<Backend>) {
  let backend: Promise<Backend> | undefined
  let closed = false
  return {
    connect(): Promise<Backend> {
      if (closed) return Promise.reject(new AppError('APP_CLOSED', 'the application is closed'))
      backend ??= open().catch((error) => {
        backend = undefined
        throw error
      })
      return backend
    },
    replace(given: Backend): void {
      // A module that sent a task while it was loaded has opened connections of its own, which are no longer needed.
      void backend?.then((former) => former.close()).catch(() => {})
      backend = Promise.resolve(given)
    },
    async close(): Promise<void> {
      closed = true
      const opened = await backend?.catch(() => undefined)
      await opened?.close()
    },
  }
}
