import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Planned, planOf } from '../../../../src/app/canvas/plan.ts'
import type { Signature } from '../../../../src/message/signature.ts'
import { caseCount } from '../../../support/case-count.ts'
import { chainOf, chordOf, groupOf, immutable, task } from '../../../support/signatures.ts'
import { idsOf, runPlan } from '../../../support/workflow-interpreter.ts'

type Canvas =
  | { kind: 'task'; args: number[]; immutable: boolean; fails: boolean }
  | { kind: 'chain' | 'group'; parts: Canvas[] }
  | { kind: 'chord'; header: Canvas[]; body: Canvas }

/** The expected result of a canvas: one value, or the values of a group's members. */
type Value = { one: unknown } | { many: unknown[]; leaves: unknown[]; failed: boolean }
const FAILED = Symbol('failed')

const canvases = (fails: boolean) =>
  fc.letrec<{ canvas: Canvas; task: Canvas }>((tie) => ({
    task: fc.record({
      kind: fc.constant('task' as const),
      args: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 2 }),
      immutable: fc.boolean(),
      fails: fails ? fc.integer({ min: 0, max: 6 }).map((n) => n === 0) : fc.constant(false),
    }),
    canvas: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      { weight: 4, arbitrary: tie('task') },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constantFrom('chain', 'group'), parts: fc.array(tie('canvas'), { maxLength: 4 }) }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant('chord' as const),
          header: fc.array(tie('canvas'), { maxLength: 3 }),
          body: tie('canvas'),
        }),
      },
    ) as fc.Arbitrary<Canvas>,
  })).canvas

/** Tasks are numbered, so that each result shows its task and its inputs. */
function signatureOf(canvas: Canvas, next: { id: number }): Signature {
  if (canvas.kind === 'task') {
    const plain = task(`t${next.id++}${canvas.fails ? '!' : ''}`, canvas.args)
    return canvas.immutable ? immutable(plain) : plain
  }
  if (canvas.kind !== 'chord') {
    const parts = canvas.parts.map((part) => signatureOf(part, next))
    return canvas.kind === 'chain' ? chainOf(parts) : groupOf(parts)
  }
  const header = canvas.header.map((part) => signatureOf(part, next))
  return chordOf(header, signatureOf(canvas.body, next))
}

const run = (name: string, args: readonly unknown[]) => {
  if (name.endsWith('!')) throw new Error(`${name} fails`)
  return [name, ...args]
}

const leavesOf = (value: Value): unknown[] => ('one' in value ? [value.one] : value.leaves)
const givenBy = (value: Value): unknown => ('one' in value ? value.one : value.failed ? FAILED : value.many)
const isEmpty = (canvas: Canvas): boolean =>
  canvas.kind === 'chord'
    ? isEmpty(canvas.body) && canvas.header.every(isEmpty)
    : canvas.kind !== 'task' && canvas.parts.every(isEmpty)

function evaluate(canvas: Canvas, given: readonly unknown[], next: { id: number }): Value {
  switch (canvas.kind) {
    case 'task': {
      const name = `t${next.id++}${canvas.fails ? '!' : ''}`
      if (canvas.fails || given.includes(FAILED)) return { one: FAILED }
      return { one: run(name, [...(canvas.immutable ? [] : given), ...canvas.args]) }
    }
    case 'group': {
      const leaves = canvas.parts.flatMap((part) => leavesOf(evaluate(part, given, next)))
      return { many: leaves, leaves, failed: given.includes(FAILED) || leaves.includes(FAILED) }
    }
    case 'chord': {
      const results = canvas.header.flatMap((part) => leavesOf(evaluate(part, given, next)))
      const failed = given.includes(FAILED) || results.includes(FAILED)
      if (isEmpty(canvas.body)) return { many: results, leaves: results, failed }
      return evaluate(canvas.body, [failed ? FAILED : results], next)
    }
    case 'chain': {
      let value: Value = { many: [], leaves: [], failed: given.includes(FAILED) }
      let before = given
      for (const [index, part] of canvas.parts.entries()) {
        const result = evaluate(part, before, next)
        // In a group, a chain contributes its last step that has a result.
        const leaves: unknown[] = isEmpty(part) && index > 0 ? leavesOf(value) : leavesOf(result)
        value = 'one' in result ? result : { many: result.many, leaves, failed: result.failed }
        before = [givenBy(value)]
      }
      return value
    }
    default:
      return canvas satisfies never
  }
}

const read = ({ members, id }: Planned['result'], ended: ReadonlyMap<string, { state: string; value: unknown }>): unknown => {
  if (members !== undefined) return members.map((member) => read(member, ended))
  const how = ended.get(id)
  return how === undefined ? 'nothing' : how.state === 'SUCCESS' ? how.value : FAILED
}

describe('any composition', () => {
  it('returns the expected result and runs each task once, in any order of execution', () => {
    fc.assert(
      fc.property(canvases(false), fc.infiniteStream(fc.nat()), (canvas, order) => {
        const planned = planOf(signatureOf(canvas, { id: 0 }))
        const { ended, runs, reported, openChords } = runPlan(planned, run, (waiting) => order.next().value! % waiting)
        expect(read(planned.result, ended)).toEqual(givenBy(evaluate(canvas, [], { id: 0 })))
        expect([...runs.values()].every((count) => count === 1)).toBe(true)
        expect({ reported, openChords }).toEqual({ reported: [], openChords: 0 })
        expect(idsOf(planned.result).filter((id) => !ended.has(id))).toEqual([])
      }),
      { numRuns: caseCount(200, 3000) },
    )
  })

  it('ends for all its callers when a task fails, and sends its errback only if a task failed', () => {
    fc.assert(
      fc.property(canvases(true), fc.infiniteStream(fc.nat()), (canvas, order) => {
        const signature = signatureOf(canvas, { id: 0 })
        const planned = planOf({ ...signature, options: { link_error: [task('errback')] } })
        let told = 0
        const work = (name: string, args: readonly unknown[]) => {
          if (name !== 'errback') return run(name, args)
          told++
          return args
        }
        const { ended, runs, openChords } = runPlan(planned, work, (waiting) => order.next().value! % waiting)
        const value = evaluate(canvas, [], { id: 0 })
        const values = 'one' in value ? value.one : value.many
        expect(read(planned.result, ended)).toEqual(values)
        expect(told > 0).toBe([...ended.values()].some(({ state }) => state === 'FAILURE'))
        expect([...runs.values()].every((count) => count === 1)).toBe(true)
        expect(openChords).toBe(0)
        expect(idsOf(planned.result).filter((id) => !ended.has(id))).toEqual([])
      }),
      { numRuns: caseCount(200, 3000) },
    )
  })
})
