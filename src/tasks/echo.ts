import type { TaskOptions } from '../app/task.ts'

/** `tasks.echo(value)`: gives back what it was given; for trying whether messages travel. */
export const echo = (value: unknown): unknown => value

export const echoOptions: TaskOptions<[unknown]> = {
  description: 'Returns its argument: the quickest way to see that everything works.',
  args: [{ title: 'value', description: 'Any JSON value.' }],
  example: ['hi'],
}
