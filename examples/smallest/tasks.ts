import { createApp } from 'onedyno'

export const app = createApp()

/** Called as `add.delay(2, 3)`; the arguments are checked by the compiler here, and by their schemas when a person types them. */
export const add = app.task('hello.add', (x: number, y: number) => x + y, {
  description: 'Adds two numbers.',
  args: [
    { type: 'number', title: 'x' },
    { type: 'number', title: 'y' },
  ],
  example: [2, 3],
})
