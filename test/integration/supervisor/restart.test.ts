import { expect, test } from 'vitest'
import { createProject } from './project.ts'

const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0

test('a failed worker restarts after a pause while web keeps running', async () => {
  const project = createProject({ Procfile: 'web: sleep 60\nworker: echo work; sleep 0.1; exit 3\n' })
  const run = project.launch(['start', '--restart', 'on-failure'])
  await run.waitFor(
    /worker\.1 restarts in 0\.[45] s \(1 ends in a row\)[\s\S]*worker\.1 restarts in (0\.[89]|1\.0) s \(2 ends in a row\)/,
  )
  expect(count(run.stdout(), /web\.1 started/g)).toBe(1)
  process.kill(run.pid, 'SIGTERM')
  expect((await run.ended).code).toBe(143)
  expect(run.survivors()).toEqual([])
})

test('a killed worker is restarted by the policy of worker, and a killed web ends the run by the default policy', async () => {
  const project = createProject({ Procfile: 'web: sleep 60\nworker: sleep 60\n' })
  const run = project.launch(['start', '--restart', 'worker=on-failure'])
  const [, pid] = await run.waitFor(/worker\.1 started \(pid=(\d+)\)/)
  process.kill(Number(pid), 'SIGKILL')
  await run.waitFor(/worker\.1 stopped \(rc=-9\)[\s\S]*worker\.1 started/)
  const [, web] = await run.waitFor(/web\.1 started \(pid=(\d+)\)/)
  process.kill(Number(web), 'SIGKILL')
  expect((await run.ended).code).toBe(137)
})

test('processes that exit with 0 are not restarted, and the run ends when the last process has ended', async () => {
  const project = createProject({ Procfile: 'a: exit 0\nb: sleep 0.3; exit 0\n' })
  const run = project.launch(['start', '--restart', 'on-failure'])
  expect((await run.ended).code).toBe(0)
  expect(count(run.stdout(), /started/g)).toBe(2)
})

test('a process that reaches its limit of failures ends the run with the exit code of the process', async () => {
  const project = createProject({ Procfile: 'web: exit 5\nworker: sleep 60\n' })
  const run = project.launch(['start', '--restart', 'on-failure:2'])
  expect((await run.ended).code).toBe(5)
  expect(run.stdout()).toContain('web.1 failed 2 times in a row; giving up')
  expect(run.survivors()).toEqual([])
})

test('a success between failures resets the count of failures', async () => {
  const project = createProject({ Procfile: 'worker: echo >> runs; [ $(( $(wc -l < runs) % 2 )) = 0 ]\n' })
  const run = project.launch(['start', '--restart', 'always:2'])
  await run.waitFor(/(stopped \(rc=0\)[\s\S]*){2}/)
  process.kill(run.pid, 'SIGTERM')
  expect((await run.ended).code).toBe(143)
}, 15_000)

test('exit code 78 of a process ends the run with 78, without a restart', async () => {
  const project = createProject({ Procfile: 'web: sleep 60\nworker: exit 78\n' })
  const run = project.launch(['start', '--restart', 'always'])
  expect((await run.ended).code).toBe(78)
  expect(count(run.stdout(), /worker\.1 started/g)).toBe(1)
})

test('a stop during the pause before a restart ends the run at once', async () => {
  const project = createProject({ Procfile: 'web: sleep 60\nworker: exit 1\n' })
  const run = project.launch(['start', '--restart', 'on-failure'])
  await run.waitFor(/3 ends in a row/)
  const before = Date.now()
  process.kill(run.pid, 'SIGTERM')
  expect((await run.ended).code).toBe(143)
  expect(Date.now() - before).toBeLessThan(1_000)
})

test('--restart always restarts a process that exits with 0', async () => {
  const project = createProject({ Procfile: 'worker: echo once\n' })
  const run = project.launch(['start', '--restart', 'always'])
  await run.waitFor(/(once[\s\S]*){2}/)
  process.kill(run.pid, 'SIGTERM')
  await run.ended
})

test('a process above its memory limit is restarted gracefully', async () => {
  const greedy = `exec ${process.execPath} -e "const held = Buffer.alloc(120e6, 1); process.on('SIGTERM', () => { console.log('bye', held.length); process.exit(0) }); setInterval(() => {}, 1e6)"`
  const project = createProject({ Procfile: `web: sleep 60\nworker: ${greedy}\n` })
  const run = project.launch(['start', '--max-memory', 'worker=100MB'])
  await run.waitFor(/worker\.1 uses \d+ MB, limit 100 MB; restarting it[\s\S]*bye 120000000[\s\S]*worker\.1 started/)
  expect(count(run.stdout(), /web\.1 started/g)).toBe(1)
  process.kill(run.pid, 'SIGTERM')
  expect((await run.ended).code).toBe(143)
}, 20_000)
