import { describe, expectTypeOf, it } from 'vitest'
import { createRegistry } from '../../../../src/app/app.ts'
import { chain, chord, group } from '../../../../src/app/canvas/canvas.ts'
import type { TaskSignature } from '../../../../src/app/canvas/signature.ts'
import type { AsyncResult, GroupResult } from '../../../../src/app/results/handles.ts'

/** Nothing here is sent. The compiler is the test: a wrong example must not compile. */
const app = createRegistry(() => Promise.reject(new Error('never opened')))
const add = app.task('add', (x: number, y: number) => x + y)
const show = app.task('show', (n: number) => `${n}`)
const shout = app.task('shout', (text: string, times?: number) => text.repeat(times ?? 1))
const sum = app.task('sum', (values: readonly number[]) => values.reduce((a, b) => a + b, 0))
const pair = app.task('pair', (both: [number, string]) => both[1])
const join = app.task('join', (...texts: string[]) => texts.join())
const ping = app.task('ping', () => true)

describe('types of compositions', () => {
  it('require the arguments that a signature lacks', () => {
    expectTypeOf(add.s(1, 2)).toEqualTypeOf<TaskSignature<[], number>>()
    expectTypeOf(add.s(2)).toEqualTypeOf<TaskSignature<[number], number>>()
    expectTypeOf(add.s()).toEqualTypeOf<TaskSignature<[number, number], number>>()
    expectTypeOf(add.s(2).delay).parameters.toEqualTypeOf<[number]>()
    expectTypeOf(add.s(1, 2).delay).returns.resolves.toEqualTypeOf<AsyncResult<number>>()
    // An argument that is left out may have a default.
    expectTypeOf(shout.s('hey').delay).parameters.toEqualTypeOf<[]>()
    // @ts-expect-error a text is not a number
    void add.s('2')
    // @ts-expect-error too many arguments
    void add.s(1, 2, 3)
    // @ts-expect-error y is missing
    void (() => add.s(2).delay())
    // @ts-expect-error an immutable signature is complete
    void add.si(1)
  })

  it('are checked between each step of a chain and the next step', () => {
    const shown = chain(add.s(1, 2), add.s(3), show.s(), shout.s(2))
    expectTypeOf(shown.delay).returns.resolves.toEqualTypeOf<AsyncResult<string>>()
    expectTypeOf(shown.delay).parameters.toEqualTypeOf<[]>()
    expectTypeOf(chain(add.s(1), show.s()).delay).parameters.toEqualTypeOf<[number]>()
    expectTypeOf(chain(show.s(1), ping.si()).delay).returns.resolves.toEqualTypeOf<AsyncResult<boolean>>()
    expectTypeOf(chain(chain(add.s(1, 2), show.s()), join.s('!')).delay).returns.resolves.toEqualTypeOf<AsyncResult<string>>()
    const steps = [1, 2, 3].map((n) => add.s(n))
    expectTypeOf(chain(...steps).delay).parameters.toEqualTypeOf<[number]>()
    expectTypeOf(chain(add.s(1, 2), ...steps).delay).returns.resolves.toEqualTypeOf<AsyncResult<number>>()
    // @ts-expect-error no step of the list accepts the results of the others
    void chain(...[1, 2].map((n) => show.s(n)))
    // @ts-expect-error show returns a text, add takes a number
    void chain(show.s(1), add.s(2))
    // @ts-expect-error add has both of its arguments already
    void chain(add.s(1, 2), add.s(3, 4))
    // @ts-expect-error the third step does not accept the result of the second
    void chain(add.s(1, 2), show.s(), sum.s())
    // @ts-expect-error ping takes nothing; ping.si() would do
    void chain(show.s(1), ping.s())
  })

  it('are a tuple for a group of known members, and an array for a group that is made from a list', () => {
    const both = group([add.s(1, 2), show.s(3)])
    expectTypeOf(both.delay).returns.resolves.toEqualTypeOf<GroupResult<[number, string]>>()
    expectTypeOf<Awaited<ReturnType<typeof both.delay>>['results']>().toEqualTypeOf<[AsyncResult<number>, AsyncResult<string>]>()
    const many = group([1, 2, 3].map((n) => show.s(n)))
    expectTypeOf(many.delay).returns.resolves.toEqualTypeOf<GroupResult<string[]>>()
    // A group inside a group is flattened.
    const nested = group([show.s(1), group([add.s(1, 2), show.s(3)])])
    expectTypeOf(nested.delay).returns.resolves.toEqualTypeOf<GroupResult<[string, number, string]>>()
    expectTypeOf(group([add.s(1), show.s()]).delay).parameters.toEqualTypeOf<[number]>()
    expectTypeOf(chain(add.s(1, 2), group([add.s(1), show.s()])).delay).returns.resolves.toEqualTypeOf<
      GroupResult<[number, string]>
    >()
  })

  it('are checked between the header and the body of a chord', () => {
    expectTypeOf(chord([add.s(1, 2), add.s(3, 4)], sum.s()).delay).returns.resolves.toEqualTypeOf<AsyncResult<number>>()
    expectTypeOf(chord(group([add.s(1, 2), show.s(3)]), pair.s()).delay).returns.resolves.toEqualTypeOf<AsyncResult<string>>()
    expectTypeOf(chain(group([add.s(1, 2), add.s(3, 4)]), sum.s(), show.s()).delay).returns.resolves.toEqualTypeOf<
      AsyncResult<string>
    >()
    expectTypeOf(
      chord(
        [1, 2].map((n) => add.s(n, n)),
        chain(sum.s(), show.s()),
      ).delay,
    ).returns.resolves.toEqualTypeOf<AsyncResult<string>>()
    // @ts-expect-error texts are not numbers
    void chord([show.s(1), show.s(2)], sum.s())
    // @ts-expect-error the step after a group receives a list
    void chain(group([add.s(1, 2)]), show.s())
  })

  it('are checked for callbacks, errbacks, map and chunks', () => {
    expectTypeOf(add.s(1, 2).link(show.s())).toEqualTypeOf<TaskSignature<[], number>>()
    void add.s(1, 2).linkError(shout.s(2))
    expectTypeOf(show.map([1, 2]).delay).returns.resolves.toEqualTypeOf<AsyncResult<string[]>>()
    expectTypeOf(add.starmap([[1, 2]]).delay).returns.resolves.toEqualTypeOf<AsyncResult<number[]>>()
    expectTypeOf(add.chunks([[1, 2]], 10).delay).returns.resolves.toEqualTypeOf<GroupResult<number[][]>>()
    // @ts-expect-error the callback takes a list
    void add.s(1, 2).link(sum.s())
    // @ts-expect-error an errback receives the id of the failed task, which is a text
    void add.s(1, 2).linkError(show.s())
    // @ts-expect-error a list of texts
    void show.map(['1'])
  })

  it('are given by the caller for tasks that another process registers', () => {
    const python = app.signature<number>('python.add', [1, 2])
    expectTypeOf(chain(python, show.s()).delay).returns.resolves.toEqualTypeOf<AsyncResult<string>>()
    // @ts-expect-error its result type is unknown
    void chain(app.signature('python.add', [1, 2]), show.s())
  })
})
