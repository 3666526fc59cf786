import type { TaskOptions } from '../app/task-options.ts'

/**
 * The task `tasks.echo(value)` returns its argument, or a list if there are several arguments. It serves to test that messages
 * arrive.
 */
export const echo = (...values: unknown[]): unknown => (values.length > 1 ? values : (values[0] ?? null))

export const echoOptions: TaskOptions<unknown[]> = {
  description: 'Returns its argument: the quickest test that everything works.',
  example: ['hi'],
}
