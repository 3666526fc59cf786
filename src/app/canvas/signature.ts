import { v7 as uuidv7 } from 'uuid'
import { checkJson } from '../../message/check-json.ts'
import type { Signature, SignatureOptions } from '../../message/signature.ts'
import type { ApplyOptions } from '../apply-options.ts'
import { checkCall, NO_OPTIONS, refuse } from '../check-options.ts'
import { createGroupResult } from '../results/group-result.ts'
import type { AsyncResult, GroupResult } from '../results/handles.ts'
import { composition } from './freeze.ts'
import { merged, wireOptions } from './signature-options.ts'
import { readTree } from './signature-tree.ts'
import { added, linked } from './tree-options.ts'

declare const TYPES: unique symbol
const SENDER = Symbol.for('onedyno.sender')

/** The types of a signature at compile time. */
export interface SignatureTypes {
  /** The leading arguments that are still missing, as a tuple. `[]` if the signature is complete. */
  readonly missing: unknown[]
  readonly result: unknown
  /** The type of the handle that `delay` returns. */
  readonly handle: unknown
}

/** A signature of a task, chain, group or chord. */
export interface AnySignature {
  readonly [TYPES]?: SignatureTypes
  /** Returns the JSON form, which messages carry and which `app.signature()` and Python read. */
  toJSON(): Signature
}

export const isSignature = (item: unknown): item is AnySignature =>
  typeof (item as AnySignature | undefined)?.toJSON === 'function'

export type MissingOf<S extends AnySignature> = NonNullable<S[typeof TYPES]>['missing']
export type ResultOf<S extends AnySignature> = NonNullable<S[typeof TYPES]>['result']
export type HandleOf<S extends AnySignature> = NonNullable<S[typeof TYPES]>['handle']

/** Options of a signature: all options of a call except those that only make sense at the moment of sending. */
export type SetOptions = Omit<ApplyOptions, 'transaction' | 'kwargs'>

/**
 * A task call that is not sent yet: a name, arguments and options. `Missing` are the arguments that are passed when the
 * signature is sent; they are put before its own arguments. A signature can be sent any number of times, and each time makes new
 * tasks.
 */
export interface TaskSignature<Missing extends unknown[] = unknown[], Result = unknown, Handle = AsyncResult<Result>>
  extends AnySignature {
  readonly [TYPES]?: { readonly missing: Missing; readonly result: Result; readonly handle: Handle }
  /** Sends the signature with the missing arguments. @throws AppError ARGUMENTS_INVALID, VALUE_NOT_JSON, SIGNATURE_INVALID, BROKER_UNREACHABLE */
  delay(...missing: Missing): Promise<Handle>
  /**
   * Sends the signature like `delay`. `options` override the options of the signature.
   * @throws as `delay`, and AppError TASK_OPTION_INVALID
   */
  applyAsync(missing?: Missing, options?: ApplyOptions): Promise<Handle>
  /** Sets options of this signature. @returns itself. @throws AppError TASK_OPTION_INVALID, VALUE_NOT_JSON */
  set(options: SetOptions): this
  /**
   * Adds a callback, which is sent with the result after the task succeeded.
   * @returns itself.
   * @throws AppError SIGNATURE_INVALID for a group
   */
  link<Callback extends AnySignature>(callback: Fits<Result, Callback>): this
  /** Adds an errback, which is sent with the id of the failed task after a failure. @returns itself */
  linkError<Errback extends AnySignature>(errback: Fits<string, Errback>): this
  /** Returns an independent copy. */
  clone(): TaskSignature<Missing, Result, Handle>
}

/**
 * `S` if its first missing argument accepts `Given`. Otherwise a type that no signature has, so that the compiler's error names
 * `Given`.
 */
export type Fits<Given, S extends AnySignature> = [Given] extends MissingOf<S> ? S : MustTake<Given>
export interface MustTake<Given> extends AnySignature {
  readonly firstMissingArgument: Given
}

/** The ways to make a signature of a task. */
export interface TaskSignatures<Args extends unknown[], Result> {
  /**
   * Creates a signature with all arguments or only the last ones. The missing arguments are passed when the signature is sent.
   */
  s<const Given extends Suffixes<Args>>(...args: Given): TaskSignature<Missing<Args, Given>, Result>
  /** Creates an immutable signature, which does not receive the result of the task before it. */
  si(...args: Args): TaskSignature<unknown[], Result>
  /** Creates a signature of one task that calls this task for each item in turn and returns the list of results. */
  map(items: readonly FirstOf<Args>[]): TaskSignature<unknown[], Result[]>
  /** Like `map`, but each item is a list of all arguments of one call. */
  starmap(items: readonly Args[]): TaskSignature<unknown[], Result[]>
  /** Creates a group of `starmap`s, each with `size` calls. @throws AppError ARGUMENTS_INVALID */
  chunks(items: readonly Args[], size: number): TaskSignature<unknown[], Result[][], GroupResult<Result[][]>>
}

/** All tuples that can be the end of an argument list. */
export type Suffixes<Args extends unknown[]> =
  | Args
  | (Required<Args> extends [unknown, ...unknown[]] ? (Args extends [unknown?, ...infer Rest] ? Suffixes<Rest> : never) : never)

/** The arguments that must stand before `Given` to complete an argument list. */
export type Missing<Args extends unknown[], Given extends readonly unknown[], Before extends unknown[] = []> =
  Required<Args> extends [infer First, ...unknown[]]
    ?
        | (Given extends Readonly<Args> ? Before : never)
        | (Args extends [unknown?, ...infer Rest] ? Missing<Rest, Given, [...Before, First]> : never)
    : Given extends Readonly<Args>
      ? [...Before, ...Args]
      : never

export type FirstOf<Args extends unknown[]> = Required<Args> extends [infer First, ...unknown[]] ? First : Args[number]

/** Checks and sends signatures for an app. */
export interface SignatureSender {
  /** Sends a signature. @throws as `TaskSignature.applyAsync` */
  send(signature: Signature, args: readonly unknown[], options: ApplyOptions): Promise<AsyncResult | GroupResult>
}

type Sending = AnySignature & { readonly [SENDER]?: SignatureSender | undefined }

/** Returns the sender of a composition: the sender of the first part that has one. */
export const senderOf = (parts: readonly AnySignature[]): SignatureSender | undefined =>
  parts.map((part) => (part as Sending)[SENDER]).find((sender) => sender !== undefined)

const neverAsked = () => Promise.reject(new Error('a group without members has no results to read'))

/** Creates a signature from its JSON form. The caller states its types. */
export function createSignature<S extends AnySignature = TaskSignature>(
  initial: Signature,
  sender: SignatureSender | undefined,
): S {
  let signature = initial
  const setOptions = (options: SignatureOptions) => {
    signature = { ...signature, options }
    return handle
  }
  const apply = async (args: readonly unknown[], options: ApplyOptions = {}) => {
    // Only an empty group has no sender, because it has no part with a sender. Its empty list of results is complete.
    if (sender === undefined) return createGroupResult({ id: uuidv7(), results: [] }, neverAsked)
    return sender.send(signature, args, options)
  }
  const handle = {
    [SENDER]: sender,
    delay: (...args: unknown[]) => apply(args),
    applyAsync: (args: readonly unknown[] = [], options?: ApplyOptions) => apply(args, options),
    set(options: SetOptions) {
      checkCall(signature.task, [], options)
      return setOptions(merged(signature.options, wireOptions(options)))
    },
    link(callback: AnySignature) {
      const link = added(signature.options.link, [callback.toJSON()])
      // Checked here so that an invalid callback throws now instead of when the signature is sent.
      linked(readTree(signature), { link })
      return setOptions({ ...signature.options, link })
    },
    linkError: (errback: AnySignature) =>
      setOptions({ ...signature.options, link_error: added(signature.options.link_error, [errback.toJSON()]) }),
    clone: () => createSignature(signature, sender),
    toJSON: () => structuredClone(signature),
  }
  return handle as unknown as S
}

interface TaskSignatureOptions {
  readonly immutable?: boolean | undefined
  readonly kwargs?: Signature['kwargs'] | undefined
  readonly options?: SetOptions
}

/** Returns the JSON signature of a call. @throws AppError VALUE_NOT_JSON, TASK_OPTION_INVALID */
export function taskSignature(
  name: string,
  args: readonly unknown[],
  { immutable = false, kwargs = {}, options = NO_OPTIONS }: TaskSignatureOptions = {},
): Signature {
  checkCall(name, args, options)
  checkJson(kwargs, 'kwargs')
  return { task: name, args, kwargs, options: wireOptions(options), subtask_type: null, immutable }
}

/** Creates the functions `s`, `si`, `map`, `starmap` and `chunks` of one task. */
export function createTaskSignatures<Args extends unknown[], Result>(
  name: string,
  sender: SignatureSender,
): TaskSignatures<Args, Result> {
  const of = (task: string, args: readonly unknown[], more?: TaskSignatureOptions) =>
    createSignature(taskSignature(task, args, more), sender) as never
  /** Celery passes the task and its items as keyword arguments. */
  const mapped = (task: 'celery.map' | 'celery.starmap', it: readonly unknown[]) => {
    if (!Array.isArray(it)) refuse(`${task} of ${name}: items must be a list`)
    return taskSignature(task, [], { immutable: true, kwargs: { task: taskSignature(name, []), it } })
  }
  return {
    s: (...args) => of(name, args),
    si: (...args) => of(name, args, { immutable: true }),
    map: (items) => createSignature(mapped('celery.map', items), sender) as never,
    starmap: (items) => createSignature(mapped('celery.starmap', items), sender) as never,
    chunks(items, size) {
      if (!(Number.isSafeInteger(size) && size >= 1))
        refuse(`chunks of ${name}: size must be a whole number of at least 1, not ${size}`)
      const tasks: Signature[] = []
      for (let at = 0; at < items.length; at += size) tasks.push(mapped('celery.starmap', items.slice(at, at + size)))
      return createSignature(composition('group', { tasks }), sender) as never
    },
  }
}
