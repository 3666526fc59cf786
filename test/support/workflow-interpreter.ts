import { createPlanner, type Planned, unreachableIn } from '../../src/app/canvas/plan.ts'
import type { ChordPlan, Plan } from '../../src/app/effects.ts'
import { decodeBody, type Message } from '../../src/message/message.ts'
import { workflowOf } from '../../src/worker/attempt/workflow.ts'

/** The function of a simulated task. */
export type TaskFunction = (name: string, args: readonly unknown[]) => unknown

export interface Ended {
  readonly state: 'SUCCESS' | 'FAILURE'
  readonly value: unknown
}

/** Simulates a worker, its queue and its chord counter, to run a plan without a server. `pick` chooses the next message. */
export function runPlan(first: Plan, run: TaskFunction, pick: (waiting: number) => number) {
  const waiting: Message[] = []
  const chords = new Map<string, { readonly plan: ChordPlan; readonly open: Set<string> }>()
  const ended = new Map<string, Ended>()
  const runs = new Map<string, number>()
  const reported: unknown[] = []
  const { planSignature, planErrbacks } = createPlanner()

  const add = ({ messages, chords: begun }: Plan) => {
    for (const plan of begun) chords.set(plan.id, { plan, open: new Set(plan.members) })
    waiting.push(...messages)
  }
  const end = (id: string, how: Ended) => {
    if (ended.has(id)) throw new Error(`${id} ended twice`)
    ended.set(id, how)
  }
  const count = (member: string) => {
    for (const [id, chord] of chords) {
      if (!chord.open.delete(member)) continue
      const { body, members, rootId } = chord.plan
      const of = { parentId: member, rootId: rootId ?? member }
      if (ended.get(member)!.state === 'FAILURE') {
        chords.delete(id)
        const never = unreachableIn(body)
        for (const { id: abandoned } of never) end(abandoned, { state: 'FAILURE', value: 'ChordError' })
        add(planErrbacks(body, body.options.task_id ?? id, of))
        for (const { id: abandoned, countsForChord } of never) if (countsForChord) count(abandoned)
      } else if (chord.open.size === 0) {
        chords.delete(id)
        add(planSignature(body, [members.map((each) => ended.get(each)!.value)], of))
      }
    }
  }

  add(first)
  while (waiting.length > 0) {
    const [message] = waiting.splice(pick(waiting.length), 1)
    const { id, task } = message!.headers
    runs.set(id, (runs.get(id) ?? 0) + 1)
    const { args, embed } = decodeBody(message!.body)
    const how = attempt(() => run(task, args))
    end(id, how)
    const workflow = workflowOf({ message: message! }, embed, how, { report: (error) => reported.push(error) })
    const unreachable = workflow?.unreachable ?? []
    for (const other of unreachable) end(other.id, how)
    if (workflow?.plan !== undefined) add(workflow.plan)
    if (workflow?.countsForChord === true) count(id)
    for (const other of unreachable) if (other.countsForChord) count(other.id)
  }
  return { ended, runs, reported, openChords: chords.size }
}

/** The ids of all results that the sender of a plan can wait for. */
export function idsOf(result: Planned['result'] | undefined): string[] {
  if (result === undefined) return []
  const own = result.members === undefined ? [result.id] : result.members.flatMap(idsOf)
  return [...new Set([...own, ...idsOf(result.parent)])]
}

function attempt(run: () => unknown): Ended {
  try {
    return { state: 'SUCCESS', value: run() }
  } catch (error) {
    return { state: 'FAILURE', value: (error as Error).message }
  }
}
