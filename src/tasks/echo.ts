import type { TaskOptions } from '../app/task-options.ts'

/** `tasks.echo(value)`: gives back what it was given, several values as a list; for trying whether messages travel. */
export const echo = (...values: unknown[]): unknown => (values.length > 1 ? values : (values[0] ?? null))

export const echoOptions: TaskOptions<unknown[]> = {
  description: 'Returns its argument: the quickest way to see that everything works.',
  example: ['hi'],
}
