import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createProject } from './project.ts'

/** Voluntary context switches of all threads: how often the process went to sleep. Preemptions are not counted. */
const switches = (pid: number) =>
  readdirSync(`/proc/${pid}/task`)
    .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'))
    .flatMap((status) => [...status.matchAll(/^voluntary_ctxt_switches:\s+(\d+)/gm)])
    .reduce((sum, [, count]) => sum + Number(count), 0)

test('an idle supervisor wakes up at most eight times in five seconds', async () => {
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

test('the supervisor loads no file of node_modules', async () => {
  const project = createProject({ Procfile: 'a: true\n' })
  const run = project.launch(['start'], { env: { NODE_DEBUG: 'esm,module' } })
  expect((await run.ended).code).toBe(0)
  expect(run.stderr()).not.toMatch(/node_modules/)
})
