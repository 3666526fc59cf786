import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { controlPath } from '../../../supervisor/control.ts'
import { createProject, fixture, until } from './project.ts'

/** Number of random runs. A small default keeps the suite short; STORMS=200 runs a thorough check. */
const STORMS = Number(process.env.STORMS ?? 12)
const SEED = Number(process.env.STORM_SEED ?? 1)

/** mulberry32: a small generator that gives the same numbers for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const COMMANDS = (path: string) => [
  'sleep 60',
  'sleep 60 & sleep 61',
  'while :; do echo tick; sleep 0.01; done',
  'sleep 0.05; exit 3',
  'exit 0',
  'printf half; sleep 60',
  'kill -SEGV $$',
  `trap '' TERM; while :; do sleep 0.1; done`,
  `sh ${fixture('leaves-group-behind.sh', path).slice(3)}`,
  fixture('floods-stdout.mjs'),
]
const FLAGS = [[], ['--restart', 'on-failure'], ['--restart', 'always:3'], ['--format', 'json'], ['--on-slow-log', 'drop']]
const SIGNALS = ['SIGTERM', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL', 'SIGUSR1', 'SIGSTOP'] as const

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {}
}

test.each(Array.from({ length: STORMS }, (_, i) => SEED + i))(
  'a run that receives random signals leaves no process, no socket and no file behind (seed %i)',
  async (seed) => {
    const random = createRandom(seed)
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
    const project = createProject()
    const commands = COMMANDS(project.path('pid'))
    const lines = Array.from(
      { length: 1 + Math.floor(random() * 4) },
      (_, i) => `${pick(['web', 'worker', 'beat'])}${i}: ${pick(commands)}\n`,
    )
    const { writeFileSync } = await import('node:fs')
    writeFileSync(project.path('Procfile'), lines.join(''))
    const run = project.launch(['start', '--timeout', '0.5', ...pick(FLAGS)], { env: { TMPDIR: project.dir } })
    run.child.stdout!.on('data', () => {})
    let ended = false
    void run.ended.then(() => {
      ended = true
    })
    // One SIGKILL per run, because nobody can clean up if supervisor and watchdog are both killed.
    let mayKill = true
    for (let blows = Math.floor(random() * 5); blows > 0 && !ended; blows -= 1) {
      await delay(random() * 150)
      const victims = run.survivors()
      const signal = pick(SIGNALS)
      if (signal === 'SIGKILL' && !mayKill) continue
      mayKill &&= signal !== 'SIGKILL'
      if (random() < 0.3 && signal !== 'SIGKILL') for (const pid of victims) kill(pid, signal)
      else kill(pick(victims) ?? run.pid, signal)
      if (random() < 0.2) run.child.stdout!.pause()
    }
    // Resume the processes that were stopped, then stop the run.
    for (const pid of run.survivors()) kill(pid, 'SIGCONT')
    kill(run.pid, 'SIGTERM')
    run.child.stdout!.resume()
    await run.ended
    await until(() => run.survivors().length === 0, 8_000)
    const left = readdirSync(project.dir).filter((name) => name.startsWith('onedyno-'))
    expect(left).toEqual([])
    expect(readdirSync(tmpdir())).not.toContain(controlPath(project.dir).split('/').at(-1))
  },
  30_000,
)
