import { v7 as uuidv7 } from 'uuid'
import { AppError } from '../errors.ts'
import { checkJson } from '../message/check-json.ts'
import { createMessage, type Message } from '../message/message.ts'
import { createArgumentCheck } from './arguments.ts'
import { type AsyncResult, createAsyncResult, type ResultBackend } from './async-result.ts'
import type { Revoke } from './revoke.ts'
import type { ApplyOptions, BoundTaskOptions, Task, TaskContext, TaskOptions, TransactionClient } from './task.ts'

/** What an application needs from outside: given by the process that runs it, or made from the environment when first used. */
export interface Backend extends ResultBackend {
  publish(messages: readonly Message[]): Promise<void>
  /** Keeps a message until it is due, in the caller's transaction when there is one. */
  keep(message: Message, dueAt: Date, transaction?: TransactionClient): Promise<void>
  readonly revoke: Revoke
  close(): Promise<void>
}

export interface App {
  /**
   * Registers a task and returns the handle to call it with. Arguments and result are typed from the function.
   * @throws AppError TASK_DUPLICATE, TASK_NAME_INVALID
   */
  task<Args extends unknown[], Result>(
    name: string,
    fn: (context: TaskContext, ...args: Args) => Result | Promise<Result>,
    options: BoundTaskOptions<Args>,
  ): Task<Args, Result>
  task<Args extends unknown[], Result>(
    name: string,
    fn: (...args: Args) => Result | Promise<Result>,
    options?: TaskOptions<Args>,
  ): Task<Args, Result>
  /** All registered tasks by name. */
  readonly tasks: ReadonlyMap<string, Task>
  /** Enqueues a task by its name, registered here or not (a Python worker may have it). @throws as `Task.applyAsync` */
  sendTask(name: string, args: readonly unknown[], options?: ApplyOptions): Promise<AsyncResult>
  /** Builds and checks a message without sending it. @throws as `Task.applyAsync` */
  message(name: string, args: readonly unknown[], options?: ApplyOptions): Message
  asyncResult<Result = unknown>(id: string): AsyncResult<Result>
  /**
   * Tasks that are not to run, by id, by name or by schedule; kept in the database, so that a worker that starts later knows it too.
   * @returns what is revoked now. @throws AppError SCHEDULE_UNKNOWN
   */
  readonly revoke: Revoke
  /** Gives the app its connections; a process does this once, before the first task is sent. */
  connect(backend: Backend): void
  /** Closes the connections that the app itself opened. A program that used `delay()` ends after it. */
  close(): Promise<void>
}

interface Registered extends Task {
  check(args: readonly unknown[]): void
}

/**
 * An application: a registry of tasks and a way to send them. `open` makes the connections when the first task is sent.
 * Pure but for what `open` brings: the registry can be filled, read and tested without any server.
 */
export function createRegistry(open: () => Promise<Backend>): App {
  const tasks = new Map<string, Registered>()
  let backend: Promise<Backend> | undefined
  let closed = false
  const connect = (): Promise<Backend> => {
    if (closed) return Promise.reject(new AppError('APP_CLOSED', 'the application is closed'))
    backend ??= open().catch((error) => {
      backend = undefined
      throw error
    })
    return backend
  }

  const message = (name: string, args: readonly unknown[], options: ApplyOptions = {}): Message => {
    const task = tasks.get(name)
    checkArguments(name, args, options)
    task?.check(args)
    return createMessage({
      id: options.taskId ?? uuidv7(),
      task: name,
      args,
      kwargs: options.kwargs,
      queue: options.queue ?? task?.options.queue,
      priority: options.priority ?? task?.options.priority,
      eta: etaOf(options),
      expires: expiresOf(options),
      headers: task?.options.ignoreResult ? { ...options.headers, ignore_result: true } : options.headers,
    })
  }

  const sendTask = async (name: string, args: readonly unknown[], options: ApplyOptions = {}): Promise<AsyncResult> => {
    const ready = message(name, args, options)
    const { publish, keep } = await connect()
    const { eta } = ready.headers
    if (eta != null || options.transaction !== undefined)
      await keep(ready, eta == null ? new Date() : new Date(eta), options.transaction)
    else await publish([ready])
    return asyncResult(ready.headers.id)
  }

  const asyncResult = <Result>(id: string): AsyncResult<Result> => createAsyncResult<Result>(id, connect)

  const register = (name: string, fn: (...args: never[]) => unknown, options: TaskOptions & { bind?: boolean } = {}): Task => {
    if (!/^[\w.:-]{1,200}$/.test(name))
      throw new AppError('TASK_NAME_INVALID', `${JSON.stringify(name)} cannot be the name of a task`)
    if (tasks.has(name)) throw new AppError('TASK_DUPLICATE', `the task ${name} is registered twice`)
    const call = fn as (...args: unknown[]) => unknown
    const task: Registered = {
      name,
      options,
      check: options.args === undefined ? () => {} : createArgumentCheck(name, options.args),
      delay: (...args) => sendTask(name, args),
      applyAsync: (args, apply) => sendTask(name, args, apply),
      asyncResult,
      run: async (context, args) => {
        const given = Object.keys(context.kwargs).length === 0 ? args : [...args, context.kwargs]
        return options.bind === true ? call(context, ...given) : call(...given)
      },
    }
    tasks.set(name, task)
    return task
  }

  return {
    task: register as App['task'],
    tasks,
    sendTask,
    message,
    asyncResult,
    revoke: async (unwanted, options) => (await connect()).revoke(unwanted, options),
    connect(given) {
      // A module that sent a task while it was loaded has opened connections of its own.
      void backend?.then((former) => former.close()).catch(() => {})
      backend = Promise.resolve(given)
    },
    async close() {
      closed = true
      const open = await backend?.catch(() => undefined)
      await open?.close()
    },
  }
}

function checkArguments(name: string, args: readonly unknown[], options: ApplyOptions): void {
  if (!Array.isArray(args)) throw new AppError('ARGUMENTS_INVALID', `${name}: the arguments are not a list`)
  checkJson(args, 'args')
  if (options.kwargs !== undefined) checkJson(options.kwargs, 'kwargs')
  if (options.headers !== undefined) checkJson(options.headers, 'headers')
  const { priority, taskId, queue, countdown, eta, expires } = options
  if (priority !== undefined && !(Number.isInteger(priority) && priority >= 0 && priority <= 255))
    refuse(`priority ${priority} is not a whole number of 0 to 255`)
  if (!isText(name, 200)) refuse(`task ${shown(name)} is not a name of 1 to 200 characters`)
  if (taskId !== undefined && !isText(taskId, 255)) refuse(`taskId ${shown(taskId)} is not a text of 1 to 255 characters`)
  if (queue !== undefined && !isText(queue, 200)) refuse(`queue ${shown(queue)} is not a text of 1 to 200 characters`)
  if (countdown !== undefined && !(Number.isFinite(countdown) && countdown >= 0 && countdown <= 3.2e9))
    refuse(`countdown ${countdown} is not a number of seconds from 0`)
  if (countdown !== undefined && eta !== undefined) refuse('countdown and eta exclude each other')
  if (eta !== undefined && Number.isNaN(eta.getTime?.())) refuse('eta is not a valid Date')
  if (typeof expires === 'number' && !Number.isFinite(expires)) refuse(`expires ${expires} is not a number of seconds`)
  if (expires instanceof Date && Number.isNaN(expires.getTime())) refuse('expires is not a valid Date')
}

/** What every broker and the database store unchanged: no NUL, no half of a surrogate pair. */
const isText = (value: unknown, max: number): boolean =>
  typeof value === 'string' && value.length >= 1 && value.length <= max && !value.includes('\0') && value.isWellFormed()

const shown = (value: unknown) => (JSON.stringify(value) ?? typeof value).slice(0, 80)

function refuse(problem: string): never {
  throw new AppError('TASK_OPTION_INVALID', problem)
}

function etaOf({ countdown, eta }: ApplyOptions): Date | undefined {
  if (eta !== undefined) return eta
  return countdown === undefined || countdown === 0 ? undefined : new Date(Date.now() + countdown * 1000)
}

function expiresOf({ expires }: ApplyOptions): Date | undefined {
  return typeof expires === 'number' ? new Date(Date.now() + expires * 1000) : expires
}
