import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createBench, median, root, run, stop, tree, until } from './setup.ts'

const STARTS = 5
const TASKS = 5000

export interface DynoFigures {
  readonly firstPageMs: number
  readonly firstResultMs: number
  readonly idlePssMb: number
  readonly busyPssMb: number
  readonly stopMs: number
  readonly processes: readonly { command: string; pssMb: number }[]
}

/**
 * Measures the whole dyno of Procfile.real with an existing database: time from start to the first 200 of the form, memory when
 * idle and after 5,000 tasks, and time to stop.
 */
export async function dyno(): Promise<DynoFigures> {
  const bench = await createBench()
  const folder = await mkdtemp(join(tmpdir(), 'onedyno-bench-'))
  await symlink(join(root, 'dist'), join(folder, 'dist'))
  await copyFile(join(root, 'Procfile.real'), join(folder, 'Procfile.real'))
  const env = { ...bench.env, PORT: '5911' }
  const pages: number[] = []
  const results: number[] = []
  const stops: number[] = []
  try {
    for (let start = 0; start < STARTS; start++) {
      const beganAt = performance.now()
      const child = run(['dist/src/main.js', 'start', '-f', 'Procfile.real'], env, folder)
      const handle = await bench.app.sendTask('tasks.echo', ['first'])
      const first = handle.get().then(() => performance.now() - beganAt)
      await until(async () => (await fetch('http://127.0.0.1:5911/').catch(() => undefined))?.status === 200, 2)
      pages.push(performance.now() - beganAt)
      results.push(await first)
      await delay(500)
      const stopAt = performance.now()
      await stop(child)
      stops.push(performance.now() - stopAt)
    }
    const child = run(['dist/src/main.js', 'start', '-f', 'Procfile.real'], env, folder)
    await until(async () => (await fetch('http://127.0.0.1:5911/').catch(() => undefined))?.status === 200, 20)
    await delay(5000)
    const idle = await tree(child.pid ?? 0)
    const handles = await Promise.all(Array.from({ length: TASKS }, (_, n) => bench.app.sendTask('tasks.echo', [n])))
    await Promise.all(handles.map((handle) => handle.get()))
    await delay(5000)
    const busy = await tree(child.pid ?? 0)
    await stop(child)
    const sum = (list: readonly { pssMb: number }[]) => list.reduce((total, { pssMb }) => total + pssMb, 0)
    return {
      firstPageMs: median(pages),
      firstResultMs: median(results),
      idlePssMb: sum(idle),
      busyPssMb: sum(busy),
      stopMs: median(stops),
      processes: idle,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
    await bench.drop()
  }
}
