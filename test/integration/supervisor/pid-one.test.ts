import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createProject, fixture, supervisorCommand, until } from './project.ts'

const command = ['unshare', '--pid', '--fork', '--kill-child', ...supervisorCommand]
const mayUnshare = spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0

interface Stat {
  readonly pid: number
  readonly parent: number
  readonly state: string
}

const processes = (): Stat[] =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
        const [state = '', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        return [{ pid: Number(pid), parent: Number(parent), state }]
      } catch {
        return []
      }
    })

test.runIf(mayUnshare)(
  'as PID 1 the supervisor reaps orphans, forwards signals and exits with the code of the signal',
  async () => {
    const project = createProject({ Procfile: `web: ${fixture('forks-zombies.mjs')}\nbeat: sleep 60\n` })
    const run = project.launch(['start'], { command })
    await run.waitFor(/orphans made/)
    const init = processes().find((each) => each.parent === run.pid)!.pid
    await until(() => processes().filter((each) => each.parent === init).length === 1)
    process.kill(init, 'SIGTERM')
    expect((await run.ended).code).toBe(143)
    expect(run.stdout()).toMatch(/web\.1 stopped[\s\S]*/)
    expect(run.stderr()).toBe('')
  },
)

test.runIf(mayUnshare)('as PID 1 the supervisor exits with the code of the child', async () => {
  const project = createProject({ Procfile: 'web: echo hi; exit 42\n' })
  const run = project.launch(['start'], { command })
  expect((await run.ended).code).toBe(42)
  expect(run.stdout()).toContain('| hi\n')
})
