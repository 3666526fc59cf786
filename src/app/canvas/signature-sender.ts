import { decodeBody } from '../../message/message.ts'
import type { Backend } from '../backend.ts'
import { currentTask } from '../calls/current-task.ts'
import type { Routes } from '../calls/routes.ts'
import { traceHeaders } from '../calls/tracing.ts'
import { checkCall } from '../check-options.ts'
import type { Plan } from '../effects.ts'
import { createAsyncResult } from '../results/async-result.ts'
import { createGroupResult } from '../results/group-result.ts'
import type { AsyncResult, GroupResult } from '../results/handles.ts'
import type { Task } from '../task.ts'
import { planOf, type ResultNode, type RouteOf } from './plan.ts'
import type { SignatureSender } from './signature.ts'
import { wireOptions } from './signature-options.ts'

export interface SignatureSenderOptions {
  readonly task: (name: string) => (Task & { check(args: readonly unknown[]): void }) | undefined
  readonly routeOf: RouteOf
  readonly connect: () => Promise<Backend>
}

/** Creates the function that returns the defaults of a task: its registered options, or else its route. */
export function createRouteOf(task: SignatureSenderOptions['task'], routes: Routes): RouteOf {
  return (name, args) => {
    const options = task(name)?.options
    const route = routes.find(name, args, {})
    const { queue = route?.queue, priority = route?.priority, ignoreResult, expires } = options ?? {}
    return { queue, priority, ignoreResult, expires }
  }
}

/**
 * Creates a sender of signatures. It sends either all messages of a composition or none, and makes every check before it sends.
 */
export function createSignatureSender({ task, routeOf: route, connect }: SignatureSenderOptions): SignatureSender {
  return {
    async send(signature, args, options) {
      checkCall(signature.task, args, options)
      const parent = currentTask.getStore()
      const inherited = { ...parent?.inherited, ...traceHeaders(signature.task) }
      const lineage = { parentId: parent?.id, rootId: parent?.rootId, inherited }
      const { kwargs, transaction } = options
      const planned = planOf(signature, { args, kwargs, options: wireOptions(options), route, ...lineage })
      checkArguments(planned, task)
      const isEmpty = planned.messages.length + planned.chords.length + planned.groups.length === 0
      if (!isEmpty) await (await connect()).send(planned, transaction)
      for (const child of planned.children) parent?.sent(child)
      return handleOf(planned.result, connect)
    },
  }
}

/** Checks the arguments of the tasks that start now. A later step receives its first argument when it is reached. */
function checkArguments({ messages }: Plan, task: SignatureSenderOptions['task']): void {
  for (const { headers, body } of messages) {
    const registered = task(headers.task)
    if (registered?.options.args !== undefined) registered.check(decodeBody(body).args)
  }
}

/**
 * Returns the handle of a node. A node that several results share gets one handle: the header of a chord, for example, is the
 * parent of every task of its body.
 */
function handleOf(
  node: ResultNode,
  connect: () => Promise<Backend>,
  made: Map<ResultNode, AsyncResult | GroupResult> = new Map(),
): AsyncResult | GroupResult {
  const known = made.get(node)
  if (known !== undefined) return known
  const { id, members, parent } = node
  const before = parent === undefined ? undefined : handleOf(parent, connect, made)
  const results = members?.map((member) => handleOf(member, connect, made) as AsyncResult)
  const handle =
    results === undefined ? createAsyncResult(id, connect, before) : createGroupResult({ id, results, parent: before }, connect)
  made.set(node, handle)
  return handle
}
