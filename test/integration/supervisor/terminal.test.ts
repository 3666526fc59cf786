import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createProject, fixture, supervisorCommand } from './project.ts'

/** script(1) runs the command on a terminal. Its stdin is the keyboard. */
const onTerminal = (...argv: string[]) => ['script', '-qec', [...supervisorCommand, ...argv].join(' '), '/dev/null']
const hasScript = existsSync('/usr/bin/script')

test.runIf(hasScript)('on a terminal, lines have colours and JSON records are rendered as text', async () => {
  const project = createProject({ Procfile: `a: ${fixture('logs-like-pino.mjs')}; echo $FORCE_COLOR\n` })
  const run = project.launch([], { command: onTerminal('start'), stdin: 'pipe', env: { TERM: 'xterm' } })
  await run.ended
  expect(run.stdout()).toMatch(/\x1b\[36m\d\d:\d\d:\d\d a\.1 {4}\| \x1b\[0mINFO {2}listening port=5000/)
  expect(run.stdout()).toMatch(/\x1b\[31mERROR\x1b\[0m failed/)
  expect(run.stdout()).toMatch(/\| \x1b\[0m1\r/)
})

test.runIf(hasScript)('NO_COLOR disables colours of the supervisor and of the children', async () => {
  const project = createProject({ Procfile: 'a: echo hello [$FORCE_COLOR]\n' })
  const run = project.launch([], { command: onTerminal('start'), stdin: 'pipe', env: { TERM: 'xterm', NO_COLOR: '1' } })
  await run.ended
  expect(run.stdout()).toContain('hello []')
  expect(run.stdout()).not.toContain('\x1b[')
})

test.runIf(hasScript)('Ctrl-C stops all processes gracefully, and a second Ctrl-C kills them', async () => {
  const project = createProject({ Procfile: `a: ${fixture('ignores-sigterm.sh')}\n` })
  const run = project.launch([], { command: onTerminal('start'), stdin: 'pipe' })
  await run.waitFor(/ready/)
  const before = Date.now()
  run.child.stdin!.write('\x03')
  await run.waitFor(/sending SIGTERM/)
  // Signals within 300 ms count as one.
  await new Promise((resolve) => setTimeout(resolve, 400))
  run.child.stdin!.write('\x03')
  expect((await run.ended).code).toBe(130)
  expect(Date.now() - before).toBeLessThan(5_000)
  expect(run.stdout()).toContain('sending SIGKILL')
  expect(run.survivors()).toEqual([])
})
