import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { controlPath } from '../../../supervisor/control.ts'
import { createProject, type Project, supervisorCommand, until } from './project.ts'

const PROCFILE =
  'web: while :; do echo tick; sleep 0.1; done\nworker: trap "echo bye; exit 0" TERM; echo working; while :; do sleep 0.05; done\n'

async function ask(project: Project, ...argv: string[]) {
  const run = project.launch(argv)
  const { code } = await run.ended
  return { code, out: run.stdout(), err: run.stderr() }
}

async function running(args: string[] = []) {
  const project = createProject({ Procfile: PROCFILE })
  const run = project.launch(['start', ...args])
  await run.waitFor(args.length > 0 ? /working/ : /working[\s\S]*tick|tick[\s\S]*working/)
  await until(() => statSync(controlPath(project.dir), { throwIfNoEntry: false }) !== undefined)
  return { project, run }
}

test('ps lists the processes through a socket that only this user may open and that the supervisor deletes when it ends', async () => {
  const { project, run } = await running()
  expect(statSync(controlPath(project.dir)).mode & 0o777).toBe(0o600)
  const { code, out } = await ask(project, 'ps')
  expect(code).toBe(0)
  expect(out).toMatch(/^PROCESS +STATE +PID +UP +RESTARTS +MEMORY\nweb\.1 +running +\d+ +\d+s +0 +\d.*\nworker\.1 +running/)
  process.kill(run.pid, 'SIGTERM')
  await run.ended
  expect(statSync(controlPath(project.dir), { throwIfNoEntry: false })).toBeUndefined()
})

test('restart stops one process gracefully and starts it again, even without --restart, while the other processes continue', async () => {
  const { project, run } = await running()
  expect((await ask(project, 'restart', 'worker')).out).toBe('restarting worker.1\n')
  await run.waitFor(
    /working[\s\S]*sending SIGTERM to worker\.1[\s\S]*bye[\s\S]*worker\.1 stopped \(rc=0\)[\s\S]*worker\.1 started[\s\S]*working/,
  )
  expect(run.stdout().match(/web\.1 started/g)?.length).toBe(1)
  expect((await ask(project, 'ps')).out).toMatch(/worker\.1 +running +\d+ +\d+s +1 /)
})

test('stop with a name ends one process, restart starts it again, and stop without names ends the run', async () => {
  const { project, run } = await running()
  await ask(project, 'stop', 'worker.1')
  await run.waitFor(/worker\.1 stopped/)
  expect((await ask(project, 'ps')).out).toMatch(/web\.1 +running[\s\S]*worker\.1 +exited +- +-/)
  await ask(project, 'restart', 'worker')
  await run.waitFor(/worker\.1 stopped[\s\S]*worker\.1 started/)
  expect((await ask(project, 'stop')).out).toBe('stopping web.1\nstopping worker.1\n')
  expect((await run.ended).code).toBe(143)
  expect(run.survivors()).toEqual([])
})

test('logs prints the last lines of a process, and with -f new lines until the run ends', async () => {
  const { project, run } = await running(['-q', 'web'])
  expect((await ask(project, 'logs', 'worker')).out).toMatch(/^\d\d:\d\d:\d\d worker\.1 \| working\n$/)
  const follower = project.launch(['logs', '-f', 'web'])
  await follower.waitFor(/(web\.1 +\| tick\n.*){5}/)
  expect(run.stdout()).not.toContain('tick')
  process.kill(run.pid, 'SIGTERM')
  await run.ended
  expect((await follower.ended).code).toBe(0)
}, 15_000)

test('logs prints a line of a process that begins with "error:" and still exits with 0', async () => {
  const project = createProject({ Procfile: 'w: echo "error: not ours"; sleep 60\n' })
  const run = project.launch(['start', '--format', '{text}', '-q', 'w'])
  await run.waitFor(/started/)
  const seen = project.launch(['logs', '--follow', 'w'])
  await seen.waitFor(/^error: not ours\n/)
  const stop = project.launch(['stop'])
  expect([(await stop.ended).code, (await seen.ended).code, seen.stderr()]).toEqual([0, 0, ''])
  await run.ended
})

test('an unknown process name is refused, and the error lists the known processes', async () => {
  const { project } = await running()
  const { code, err } = await ask(project, 'restart', 'web', 'x')
  expect([code, err]).toEqual([1, expect.stringContaining('no process x; the processes are web.1, worker.1')])
})

test('start replaces the control socket of a killed supervisor', async () => {
  const project = createProject({ Procfile: PROCFILE })
  // A socket without a listener, as after a kill -9 of supervisor and watchdog.
  const left = createServer().listen(controlPath(project.dir))
  await once(left, 'listening')
  const { renameSync } = await import('node:fs')
  renameSync(controlPath(project.dir), `${controlPath(project.dir)}.kept`)
  left.close()
  renameSync(`${controlPath(project.dir)}.kept`, controlPath(project.dir))
  const run = project.launch(['start'])
  await run.waitFor(/tick/)
  await until(() => run.stdout().includes('tick'))
  expect((await ask(project, 'ps')).code).toBe(0)
  process.kill(run.pid, 'SIGTERM')
  await run.ended
})

test('a second supervisor of the same app does not take the control socket of the first supervisor and logs a note', async () => {
  const { project, run } = await running()
  const second = project.launch(['start', 'web'])
  await second.waitFor(/cannot listen at .*\.sock/)
  process.kill(second.pid, 'SIGTERM')
  await second.ended
  expect((await ask(project, 'ps')).out).toContain('worker.1')
  process.kill(run.pid, 'SIGTERM')
  await run.ended
})

test('the watchdog deletes the control socket when the supervisor is killed', async () => {
  const { project, run } = await running()
  process.kill(run.pid, 'SIGKILL')
  await until(() => statSync(controlPath(project.dir), { throwIfNoEntry: false }) === undefined)
  await until(() => run.survivors().length === 0)
})

test('logs exits with 0 when its reader closes the pipe', async () => {
  const { project, run } = await running()
  await run.waitFor(/(tick\n.*){20}/)
  const pipeline = [...supervisorCommand, 'logs', '-f', 'web'].join(' ')
  const reader = project.launch([], { command: ['sh', '-c', `${pipeline} | head -n 1`] })
  expect((await reader.ended).code).toBe(0)
  expect(reader.stdout()).toMatch(/web\.1 +\| tick\n$/)
  expect(reader.stderr()).toBe('')
})

const asNobody = ['setpriv', '--reuid', '54321', '--regid', '54321', '--clear-groups', ...supervisorCommand]
const mayBeAnybody = spawnSync(asNobody[0]!, [...asNobody.slice(1), 'version']).status === 0
test.runIf(mayBeAnybody)('start, ps and export work for a user id that has no user name', async () => {
  const project = createProject({ Procfile: 'w: echo hello; sleep 60\n' })
  chmodSync(project.dir, 0o777)
  const run = project.launch(['start'], { command: asNobody })
  await run.waitFor(/hello/)
  const ps = project.launch(['ps'], { command: asNobody })
  await ps.waitFor(/w\.1 +running/)
  const written = project.launch(['export', 'systemd', 'out'], { command: asNobody })
  expect([(await written.ended).code, written.stderr()]).toEqual([0, expect.stringContaining('Writing')])
  expect(readFileSync(project.path(`out/${basename(project.dir)}-w-1.service`), 'utf8')).toContain('User=54321\n')
  process.kill(run.pid, 'SIGTERM')
  expect((await run.ended).code).toBe(143)
})

test('-d selects the folder of the app when a command runs in another folder', async () => {
  const { project } = await running()
  mkdirSync(project.path('below'))
  expect((await ask(project, 'ps', '-d', 'below')).code).toBe(1)
  expect((await ask(project, '-d', project.dir, 'ps')).code).toBe(0)
})
