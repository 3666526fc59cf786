import { expect, test } from 'vitest'
import { createRegistry } from '../../../src/app/app.ts'
import { parseConfig } from '../../../src/config.ts'
import { silentLog } from '../../../src/log.ts'
import { registerShippedTasks } from '../../../src/tasks/shipped.ts'

const registry = () => createRegistry(() => Promise.reject(new Error('nothing is sent here')))
const register = (app = registry()) => {
  const asked: number[] = []
  const results = {
    cleanUp: async (seconds: number) => {
      asked.push(seconds)
      return 7
    },
  }
  registerShippedTasks(app, { config: parseConfig({ RESULT_TTL: '120' }), log: silentLog(), results })
  return { app, asked }
}
const context = { kwargs: {}, signal: new AbortController().signal } as never

test('the shipped tasks are echo, fetch_url, keep_awake and clean_up', () => {
  expect([...register().app.tasks.keys()]).toEqual(['tasks.echo', 'tasks.fetch_url', 'onedyno.keep_awake', 'onedyno.clean_up'])
})

test('each shipped task has a description and a valid example', () => {
  const { app } = register()
  for (const [name, { options }] of app.tasks) {
    expect(options.description, name).toMatch(/\w.*\.$/)
    expect(() => app.message(name, options.example!), name).not.toThrow()
  }
})

test('a shipped task does not replace a task of the application with the same name', async () => {
  const app = registry()
  app.task('tasks.echo', () => 'mine')
  register(app)
  expect(await app.tasks.get('tasks.echo')!.run(context, [])).toBe('mine')
})

test.each([
  ['a value', [{ a: [1] }], { a: [1] }],
  ['several values as a list', [1, 2], [1, 2]],
  ['null for no argument', [], null],
])('echo returns %s', async (_what, args, result) => {
  expect(await register().app.tasks.get('tasks.echo')!.run(context, args)).toEqual(result)
})

test('clean_up deletes results older than RESULT_TTL and returns their number', async () => {
  const { app, asked } = register()
  expect(await app.tasks.get('onedyno.clean_up')!.run(context, [])).toEqual({ deleted: 7 })
  expect(asked).toEqual([120])
})

test.each([
  ['fetch_url without a URL', 'tasks.fetch_url', []],
  ['fetch_url with a number', 'tasks.fetch_url', [1]],
  ['fetch_url with the URL of a file', 'tasks.fetch_url', ['file:///etc/passwd']],
  ['clean_up with an argument', 'onedyno.clean_up', [1]],
])('a call of %s is refused before it is sent', (_what, name, args) => {
  expect(() => register().app.message(name, args)).toThrow(expect.objectContaining({ code: 'ARGUMENTS_INVALID' }))
})
