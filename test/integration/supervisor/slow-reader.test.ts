import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createProject, fixture, type Launched } from './project.ts'

const rssMb = (run: Launched) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${run.pid}/status`, 'utf8'))?.[1]) / 1024

/** Stops reading for `ms`. Returns by how many MB the supervisor grew meanwhile. */
async function holdBack(run: Launched, ms: number): Promise<number> {
  run.child.stdout!.pause()
  const before = rssMb(run)
  await delay(ms)
  return rssMb(run) - before
}

test('the supervisor pauses the children while nobody reads its output, keeps memory flat, and loses no line', async () => {
  const project = createProject({
    Procfile: `a: ${fixture('floods-stdout.mjs', 300_000)}\nb: ${fixture('floods-stdout.mjs', 300_000)}\n`,
  })
  const run = project.launch(['start', '--restart', 'on-failure', '--format', '{name} {text}'])
  await run.waitFor(/line 1000 /)
  expect(await holdBack(run, 3_000)).toBeLessThan(8)
  run.child.stdout!.resume()
  expect((await run.ended).code).toBe(0)
  for (const name of ['a', 'b']) {
    const lines = run.stdout().match(new RegExp(`^${name}\\.1 +line \\d+`, 'gm')) ?? []
    expect(lines.length).toBe(300_000)
    expect(lines.every((line, i) => line.endsWith(` ${i}`))).toBe(true)
  }
}, 60_000)

test('--on-slow-log drop keeps the children running and logs the number of dropped lines', async () => {
  const project = createProject({ Procfile: `a: ${fixture('floods-stdout.mjs', 500_000)}\n` })
  const run = project.launch(['start', '--on-slow-log', 'drop', '--format', '{name} {text}'])
  await run.waitFor(/line 1000 /)
  run.child.stdout!.pause()
  await delay(2_000)
  run.child.stdout!.resume()
  expect((await run.ended).code).toBe(0)
  const shown = run.stdout().match(/^a\.1 +line \d+/gm)?.length ?? 0
  const dropped = [...run.stdout().matchAll(/(\d+) lines dropped/g)].reduce((sum, [, lines]) => sum + Number(lines), 0)
  expect(dropped).toBeGreaterThan(0)
  expect(shown + dropped).toBe(500_000)
}, 60_000)

test('SIGTERM stops the run within the timeout while nobody reads its output', async () => {
  const project = createProject({ Procfile: `a: ${fixture('floods-stdout.mjs')}\nb: sleep 60\n` })
  const run = project.launch(['start', '--timeout', '1'])
  await run.waitFor(/line 1000 /)
  run.child.stdout!.pause()
  await delay(300)
  const exited = new Promise<number | null>((resolve) => run.child.once('exit', resolve))
  process.kill(run.pid, 'SIGTERM')
  expect(await exited).toBe(143)
  expect(run.survivors()).toEqual([])
})
