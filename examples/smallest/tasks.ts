import { createApp } from 'onedyno'

export const app = createApp()

/** Called as `add.delay(2, 3)`. The compiler checks arguments in code, the schemas check arguments from the form. */
export const add = app.task('hello.add', (x: number, y: number) => x + y, {
  description: 'Adds two numbers.',
  args: [
    { type: 'number', title: 'x' },
    { type: 'number', title: 'y' },
  ],
  example: [2, 3],
})
