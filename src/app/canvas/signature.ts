import { v7 as uuidv7 } from 'uuid'
import { checkJson } from '../../message/check-json.ts'
import type { Signature, SignatureOptions } from '../../message/signature.ts'
import type { ApplyOptions } from '../apply-options.ts'
import { checkCall, NO_OPTIONS, refuse } from '../check-options.ts'
import { createGroupResult } from '../results/group-result.ts'
import type { AsyncResult, GroupResult } from '../results/handles.ts'
import { composition } from './freeze.ts'
import { merged } from './signature-options.ts'
import { readTree } from './signature-tree.ts'
import { added, linked } from './tree-options.ts'

declare const TYPES: unique symbol
const SENDER = Symbol.for('onedyno.sender')

/** What is known of a signature when it is compiled. */
export interface SignatureTypes {
  /** The leading arguments that are still to be given: lists of them, `[]` when it is complete. */
  readonly missing: unknown[]
  readonly result: unknown
  /** What `delay` resolves with. */
  readonly handle: unknown
}

/** Any signature: of a task, chain, group or chord. */
export interface AnySignature {
  readonly [TYPES]?: SignatureTypes
  /** As it travels, and as `app.signature()` and Python read it. */
  toJSON(): Signature
}

export type MissingOf<S extends AnySignature> = NonNullable<S[typeof TYPES]>['missing']
export type ResultOf<S extends AnySignature> = NonNullable<S[typeof TYPES]>['result']
export type HandleOf<S extends AnySignature> = NonNullable<S[typeof TYPES]>['handle']

/** Options of a signature: those of a call that can wait until it is made. */
export type SetOptions = Omit<ApplyOptions, 'transaction' | 'kwargs'>

/**
 * What to run, with which arguments and options, not yet sent. `Missing`: the arguments that whoever starts it gives, before its own.
 * It can be used any number of times: each use sends new tasks.
 */
export interface TaskSignature<Missing extends unknown[] = unknown[], Result = unknown, Handle = AsyncResult<Result>>
  extends AnySignature {
  readonly [TYPES]?: { readonly missing: Missing; readonly result: Result; readonly handle: Handle }
  /** Sends it, with the missing arguments. @throws AppError ARGUMENTS_INVALID, VALUE_NOT_JSON, SIGNATURE_INVALID, BROKER_UNREACHABLE */
  delay(...missing: Missing): Promise<Handle>
  /** `delay` with options, which are stronger than its own. @throws as `delay`, and AppError TASK_OPTION_INVALID */
  applyAsync(missing?: Missing, options?: ApplyOptions): Promise<Handle>
  /** Sets options of this signature. @returns itself. @throws AppError TASK_OPTION_INVALID, VALUE_NOT_JSON */
  set(options: SetOptions): this
  /** Has `callback` sent when it has succeeded, given its result. @returns itself. @throws AppError SIGNATURE_INVALID for a group */
  link<Callback extends AnySignature>(callback: Fits<Result, Callback>): this
  /** Has `errback` sent when it has failed, given the id of what failed. @returns itself */
  linkError<Errback extends AnySignature>(errback: Fits<string, Errback>): this
  /** A copy, to be changed by itself. */
  clone(): TaskSignature<Missing, Result, Handle>
}

/** `S`, when it takes `Given` first; else what no signature is, so that the message of the compiler names `Given`. */
export type Fits<Given, S extends AnySignature> = [Given] extends MissingOf<S> ? S : MustTake<Given>
export interface MustTake<Given> extends AnySignature {
  readonly firstMissingArgument: Given
}

/** The ways to make a signature of a task. */
export interface TaskSignatures<Args extends unknown[], Result> {
  /** A signature with its last arguments, or all of them; the others are given by whoever starts it. */
  s<const Given extends Suffixes<Args>>(...args: Given): TaskSignature<Missing<Args, Given>, Result>
  /** An immutable signature: it takes nothing from the task before it. */
  si(...args: Args): TaskSignature<unknown[], Result>
  /** One task that calls this one for each item, one after the other, and returns their results. */
  map(items: readonly FirstOf<Args>[]): TaskSignature<unknown[], Result[]>
  /** `map` with a list of arguments for each call. */
  starmap(items: readonly Args[]): TaskSignature<unknown[], Result[]>
  /** A group of `starmap`s of `size` calls each. @throws AppError ARGUMENTS_INVALID */
  chunks(items: readonly Args[], size: number): TaskSignature<unknown[], Result[][], GroupResult<Result[][]>>
}

/** The lists of arguments that a list can end with. */
export type Suffixes<Args extends unknown[]> =
  | Args
  | (Required<Args> extends [unknown, ...unknown[]] ? (Args extends [unknown?, ...infer Rest] ? Suffixes<Rest> : never) : never)

/** What has to come before `Given`, so that it is a whole list of arguments. */
export type Missing<Args extends unknown[], Given extends readonly unknown[], Before extends unknown[] = []> =
  Required<Args> extends [infer First, ...unknown[]]
    ?
        | (Given extends Readonly<Args> ? Before : never)
        | (Args extends [unknown?, ...infer Rest] ? Missing<Rest, Given, [...Before, First]> : never)
    : Given extends Readonly<Args>
      ? [...Before, ...Args]
      : never

export type FirstOf<Args extends unknown[]> = Required<Args> extends [infer First, ...unknown[]] ? First : Args[number]

/** Who sends a signature, and checks the calls that it makes. */
export interface SignatureSender {
  /** @throws as `TaskSignature.applyAsync` */
  send(signature: Signature, args: readonly unknown[], options: ApplyOptions): Promise<AsyncResult | GroupResult>
}

type Sending = AnySignature & { readonly [SENDER]?: SignatureSender | undefined }

/** Of the parts of a composition, the app of the first one that has one sends it. */
export const senderOf = (parts: readonly AnySignature[]): SignatureSender | undefined =>
  parts.map((part) => (part as Sending)[SENDER]).find((sender) => sender !== undefined)

const neverAsked = () => Promise.reject(new Error('a group without members asked for them'))

/** A handle on a wire signature; its types are what the caller says. */
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
    // Without a task there is no app either: a group of a list that turned out to be empty has its results already.
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
      // Says at once what would be refused when it is sent.
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

/** A call, to be made later. @throws AppError VALUE_NOT_JSON, TASK_OPTION_INVALID */
export function taskSignature(
  name: string,
  args: readonly unknown[],
  { immutable = false, kwargs = {}, options = NO_OPTIONS }: TaskSignatureOptions = {},
): Signature {
  checkCall(name, args, options)
  checkJson(kwargs, 'kwargs')
  return { task: name, args, kwargs, options: wireOptions(options), subtask_type: null, immutable }
}

/** Options of a call under the names that signatures have for them (§4.1). */
export function wireOptions(options: ApplyOptions): SignatureOptions {
  const { countdown, eta, expires, queue, priority, taskId, headers, softTimeLimit, timeLimit, ignoreResult, shadow } = options
  const wire = {
    ...{ countdown, eta: eta?.toISOString(), expires: expires instanceof Date ? expires.toISOString() : expires },
    ...{ queue, priority, task_id: taskId, headers, soft_time_limit: softTimeLimit, time_limit: timeLimit },
    ...{ ignore_result: ignoreResult, shadow },
  }
  return Object.fromEntries(Object.entries(wire).filter(([, value]) => value !== undefined))
}

/** `s`, `si`, `map`, `starmap` and `chunks` of one task. */
export function createTaskSignatures<Args extends unknown[], Result>(
  name: string,
  sender: SignatureSender,
): TaskSignatures<Args, Result> {
  const of = (task: string, args: readonly unknown[], more?: TaskSignatureOptions) =>
    createSignature(taskSignature(task, args, more), sender) as never
  /** Celery reads the task and its items as keywords. */
  const mapped = (task: 'celery.map' | 'celery.starmap', it: readonly unknown[]) => {
    if (!Array.isArray(it)) refuse(`${task} takes a list of items for ${name}`)
    return taskSignature(task, [], { immutable: true, kwargs: { task: taskSignature(name, []), it } })
  }
  return {
    s: (...args) => of(name, args),
    si: (...args) => of(name, args, { immutable: true }),
    map: (items) => createSignature(mapped('celery.map', items), sender) as never,
    starmap: (items) => createSignature(mapped('celery.starmap', items), sender) as never,
    chunks(items, size) {
      if (!(Number.isSafeInteger(size) && size >= 1)) refuse(`chunks of ${size} calls of ${name}: not a whole number from 1`)
      const tasks: Signature[] = []
      for (let at = 0; at < items.length; at += size) tasks.push(mapped('celery.starmap', items.slice(at, at + size)))
      return createSignature(composition('group', { tasks }), sender) as never
    },
  }
}
