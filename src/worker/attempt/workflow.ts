import { mergePlans, type PlanWithChildren, planEach, planSteps, type RouteOf, unreachableIn } from '../../app/canvas/plan.ts'
import type { Child, Effects } from '../../app/effects.ts'
import type { State } from '../../app/outcome.ts'
import type { Delivery } from '../../broker/broker.ts'
import type { Embed } from '../../message/signature.ts'

/** The part of an ending that decides the next steps of a workflow. */
export interface WorkflowEnding {
  readonly state: State
  /** The value that the task returned. */
  readonly value?: unknown
}

export interface WorkflowParts {
  /** Returns queue and priority of the tasks that are registered in this process. */
  readonly route?: RouteOf | undefined
  /** Headers that the children of the task inherit. */
  readonly inherited?: Readonly<Record<string, unknown>> | undefined
  /** Called with the error of each invalid part of the embed, which any producer may have sent. */
  readonly report?: ((error: unknown, part: 'callbacks' | 'chain' | 'errbacks') => void) | undefined
}

/**
 * The effects of an ending on other tasks. `children`: the first tasks of the plan, which are stored as children in the result.
 */
export interface Workflow extends Pick<Effects, 'plan' | 'countsForChord' | 'unreachable'> {
  readonly children?: readonly Child[] | undefined
}

/**
 * Returns the next steps of a workflow after one of its tasks ended (docs/internals/wire-protocol.md). After success: callbacks
 * and the next step of the chain. After a failure: errbacks, and the end of the rest of the chain. undefined if there are none,
 * as for most tasks and for an attempt that is retried. Pure. Never throws: an invalid part is reported and skipped, and the
 * outcome of the task stays. HOT: once per task.
 */
export function workflowOf(
  delivery: Pick<Delivery, 'message'>,
  embed: Embed,
  ending: WorkflowEnding,
  parts: WorkflowParts = {},
): Workflow | undefined {
  const { callbacks, errbacks, chain, chord } = embed
  if (callbacks == null && errbacks == null && chain == null && chord == null) return undefined
  const countsForChord = chord == null ? {} : { countsForChord: true }
  switch (ending.state) {
    case 'SUCCESS':
      return following(countsForChord, succeeded(delivery, embed, ending.value ?? null, parts))
    case 'FAILURE':
    case 'REVOKED': {
      const unreachable = restOf(chain, parts)
      return following(
        unreachable.length === 0 ? countsForChord : { ...countsForChord, unreachable },
        failed(delivery, errbacks, parts),
      )
    }
    default:
      return undefined
  }
}

function following(workflow: Workflow, { children, ...plan }: PlanWithChildren): Workflow | undefined {
  if (plan.messages.length > 0 || plan.groups.length > 0) return { ...workflow, plan, children }
  return workflow.countsForChord === undefined && workflow.unreachable === undefined ? undefined : workflow
}

/** Plans callbacks first, then the next step, as in Celery. */
function succeeded(delivery: Pick<Delivery, 'message'>, embed: Embed, value: unknown, parts: WorkflowParts): PlanWithChildren {
  const options = { ...contextOf(delivery, parts), args: [value] }
  const plans: PlanWithChildren[] = []
  const callbacks = listed(embed.callbacks, 'callbacks', parts)
  if (callbacks.length > 0) plans.push(planEach(callbacks, options, (error) => parts.report?.(error, 'callbacks')))
  const chain = listed(embed.chain, 'chain', parts)
  try {
    if (chain.length > 0) plans.push(planSteps(chain.toReversed(), options))
  } catch (error) {
    parts.report?.(error, 'chain')
  }
  return mergePlans(plans)
}

/**
 * Plans the errbacks. They are always sent as messages, even if they are registered in this process, because they may fail and
 * be retried like any task.
 */
function failed(delivery: Pick<Delivery, 'message'>, errbacks: Embed['errbacks'], parts: WorkflowParts): PlanWithChildren {
  const options = { ...contextOf(delivery, parts), args: [delivery.message.headers.id] }
  return planEach(listed(errbacks, 'errbacks', parts), options, (error) => parts.report?.(error, 'errbacks'))
}

/** Returns the tasks of the chain that can no longer run. They end together with the failed task. */
function restOf(chain: Embed['chain'], parts: WorkflowParts): NonNullable<Effects['unreachable']> {
  return listed(chain, 'chain', parts)
    .toReversed()
    .flatMap((step) => {
      try {
        return unreachableIn(step)
      } catch (error) {
        parts.report?.(error, 'chain')
        return []
      }
    })
}

function contextOf({ message: { headers } }: Pick<Delivery, 'message'>, { route, inherited }: WorkflowParts) {
  const rootId = typeof headers.root_id === 'string' ? headers.root_id : headers.id
  return { parentId: headers.id, rootId, route, inherited }
}

function listed(value: unknown, part: 'callbacks' | 'chain' | 'errbacks', { report }: WorkflowParts): readonly unknown[] {
  if (value == null) return []
  if (Array.isArray(value)) return value
  report?.(new TypeError(`embed.${part} must be a list`), part)
  return []
}
