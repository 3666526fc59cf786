import type { App } from '../../../src/app/app.ts'

/** Tasks for compositions. `runs`: their names and arguments, in the order of their starts. */
export function composable(app: App) {
  const runs: [name: string, ...args: unknown[]][] = []
  const ran = <T>(name: string, args: readonly unknown[], value: T): T => {
    runs.push([name, ...args])
    return value
  }
  return {
    runs,
    add: app.task('add', (x: number, y: number) => ran('add', [x, y], x + y)),
    mul: app.task('mul', (x: number, y: number) => ran('mul', [x, y], x * y)),
    sum: app.task('sum', (values: readonly number[]) =>
      ran(
        'sum',
        [values],
        values.reduce((a, b) => a + b, 0),
      ),
    ),
    range: app.task('range', (n: number) => ran('range', [n], n)),
    note: app.task('note', (value: unknown) => ran('note', [value], value)),
    fail: app.task('fail', (why: unknown): number => {
      runs.push(['fail', why])
      throw new TypeError(`no: ${JSON.stringify(why)}`)
    }),
  }
}
