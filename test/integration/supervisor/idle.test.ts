import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createProject } from './project.ts'

/** Every time that a thread of the process went to sleep, and so was woken up. Losing the processor to others is not counted. */
const switches = (pid: number) =>
  readdirSync(`/proc/${pid}/task`)
    .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'))
    .flatMap((status) => [...status.matchAll(/^voluntary_ctxt_switches:\s+(\d+)/gm)])
    .reduce((sum, [, count]) => sum + Number(count), 0)

test('with nothing to do it does nothing: hardly a wake-up in five seconds', async () => {
  const project = createProject({ Procfile: 'web: sleep 60\nworker: sleep 60\nbeat: sleep 60\n' })
  const run = project.launch(['start', '--restart', 'on-failure'])
  await run.waitFor(/beat\.1 started/)
  await delay(1_500)
  const before = switches(run.pid)
  await delay(5_000)
  expect(switches(run.pid) - before).toBeLessThanOrEqual(8)
  process.kill(run.pid, 'SIGTERM')
  await run.ended
}, 20_000)

test('it loads nothing but its own files', async () => {
  const project = createProject({ Procfile: 'a: true\n' })
  const run = project.launch(['start'], { env: { NODE_DEBUG: 'esm,module' } })
  expect((await run.ended).code).toBe(0)
  expect(run.stderr()).not.toMatch(/node_modules/)
})
