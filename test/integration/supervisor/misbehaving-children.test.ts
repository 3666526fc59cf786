import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createProject, fixture, until } from './project.ts'

/** The lines of one child, without prefix and without the lines of the supervisor. */
const linesOf = (text: string, name = 'a.1') =>
  text.split('\n').flatMap((line) => new RegExp(`^\\S+ ${name.replace('.', '\\.')} +\\| (.*)$`).exec(line)?.[1] ?? [])

async function runAlone(command: string, ...args: string[]) {
  const project = createProject({ Procfile: `a: ${command}\n` })
  const run = project.launch(['start', ...args])
  const { code } = await run.ended
  return { code, lines: linesOf(run.stdout()), run, project }
}

describe('output of a child', () => {
  const table: [name: string, command: string, code: number, lines: string[]][] = [
    ['half-line: the last line is shown although it has no newline', fixture('half-line.sh'), 0, ['first', 'half a line']],
    [
      'opens-dev-stdout: a child can open /dev/stdout and /dev/stderr',
      fixture('opens-dev-stdout.sh'),
      0,
      ['to stdout', 'to stderr'],
    ],
    [
      'writes-both-streams: lines of stdout and stderr keep their common order',
      fixture('writes-both-streams.mjs'),
      0,
      Array.from({ length: 200 }, (_, i) => `line ${i}`),
    ],
    ['empty lines are kept', "printf '\\n\\nx\\n'", 0, ['', '', 'x']],
    [
      'an unknown program is reported, and the run exits with 127',
      'no-such-program-here',
      127,
      ['/bin/sh: 1: exec: no-such-program-here: not found'],
    ],
  ]
  test.each(table)('%s', async (_name, command, code, lines) => {
    const result = await runAlone(command)
    expect(result.lines).toEqual(lines)
    expect(result.code).toBe(code)
    expect(result.run.survivors()).toEqual([])
  })

  test('binary-output: no byte is changed', async () => {
    const { run } = await runAlone(fixture('binary-output.mjs'), '--no-prefix')
    const expected = Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((byte) => byte !== 10 && byte !== 13))
    expect(run.bytes().includes(Buffer.concat([expected, Buffer.from('\n')]))).toBe(true)
  })

  test('floods-stdout: no line is lost if a child writes 200,000 lines and exits', async () => {
    const { lines, code } = await runAlone(fixture('floods-stdout.mjs', 200_000))
    expect(code).toBe(0)
    expect(lines.length).toBe(200_000)
    expect(lines.every((line, i) => line.startsWith(`line ${i} `))).toBe(true)
  })

  test('long-line: a line of 50 MB is cut between characters, without loss and without growth of memory', async () => {
    const project = createProject({ Procfile: `a: ${fixture('long-line.mjs', 50_000_000)}\n` })
    const run = project.launch(['start', '--format', '{name}|{text}'])
    let peakKb = 0
    run.child.stdout!.on('data', () => {
      try {
        peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${run.pid}/status`, 'utf8'))?.[1]))
      } catch {}
    })
    expect((await run.ended).code).toBe(0)
    const lines = run
      .stdout()
      .split('\n')
      .filter((line) => line.startsWith('a.1'))
    expect(Math.max(...lines.map((line) => Buffer.byteLength(line)))).toBeLessThanOrEqual(10_000)
    const text = lines
      .slice(0, -1)
      .map((line) => line.slice(line.indexOf('|') + 1))
      .join('')
      .replaceAll('…', '')
    expect(text).toBe('é'.repeat(25_000_000))
    expect(lines.at(-1)).toMatch(/\|after$/)
    expect(peakKb).toBeLessThan(150_000)
  })
})

describe('end of a child', () => {
  test.each([
    ['SEGV', 139],
    ['KILL', 137],
    ['TERM', 143],
    ['ABRT', 134],
  ])('dies-by-signal %s: the run exits with %i', async (signal, code) => {
    expect((await runAlone(fixture('dies-by-signal.sh', signal))).code).toBe(code)
  })

  test('daemonises-holding-pipe: the exit of the child is seen at once, although its daemon still holds the pipe', async () => {
    const project = createProject()
    const pidFile = project.path('daemon.pid')
    const before = Date.now()
    const run = project.launch([
      'start',
      '-f',
      writeProcfile(project, `a: ${fixture('daemonises-holding-pipe.sh', pidFile)}\nb: sleep 60\n`),
    ])
    expect((await run.ended).code).toBe(3)
    expect(Date.now() - before).toBeLessThan(4_000)
    expect(linesOf(run.stdout())).toEqual(['parent done'])
    expect(run.survivors()).toEqual([Number(readFileSync(pidFile, 'utf8'))])
  })

  test('leaves-group-behind: the rest of the process group of the child is ended, by SIGKILL if needed', async () => {
    const project = createProject()
    const run = project.launch([
      'start',
      '-f',
      writeProcfile(project, `a: ${fixture('leaves-group-behind.sh', project.path('pid'))}\n`),
    ])
    expect((await run.ended).code).toBe(4)
    expect(run.survivors()).toEqual([])
  }, 15_000)

  test('closes-output: a child that has closed its output is stopped, and the run waits for its end', async () => {
    const project = createProject({ Procfile: `a: ${fixture('closes-output.sh')}\n` })
    const run = project.launch(['start'])
    await run.waitFor(/ready/)
    process.kill(run.pid, 'SIGTERM')
    expect((await run.ended).code).toBe(143)
    expect(run.survivors()).toEqual([])
  })

  test('the first child that ends stops the other children, and its exit code is the exit code of the run', async () => {
    const project = createProject({ Procfile: 'a: sleep 60\nb: sleep 0.2; exit 42\nc: sleep 60\n' })
    const run = project.launch(['start'])
    expect((await run.ended).code).toBe(42)
    expect(run.stdout()).toMatch(/b\.1 stopped \(rc=42\)[\s\S]*sending SIGTERM to a\.1[\s\S]*sending SIGTERM to c\.1/)
    expect(run.survivors()).toEqual([])
  })
})

describe('stop of the run', () => {
  test('ignores-sigterm: all children are killed at the same time after the timeout', async () => {
    const project = createProject({
      Procfile: ['a', 'b', 'c'].map((name) => `${name}: ${fixture('ignores-sigterm.sh')}\n`).join(''),
    })
    const run = project.launch(['start', '--timeout', '1'])
    await run.waitFor(/(ready[\s\S]*){3}/)
    const before = Date.now()
    process.kill(run.pid, 'SIGTERM')
    expect((await run.ended).code).toBe(143)
    expect(Date.now() - before).toBeGreaterThan(900)
    expect(Date.now() - before).toBeLessThan(2_500)
    expect(run.stdout().match(/sending SIGKILL/g)?.length).toBe(3)
    expect(run.survivors()).toEqual([])
  })

  test('finishes-slowly: the output of a stopping child is shown', async () => {
    const project = createProject({ Procfile: `a: ${fixture('finishes-slowly.mjs')}\n` })
    const run = project.launch(['start'])
    await run.waitFor(/ready/)
    process.kill(run.pid, 'SIGTERM')
    expect((await run.ended).code).toBe(143)
    expect(linesOf(run.stdout())).toEqual(['ready', ...[1, 2, 3, 4, 5].map((i) => `finishing ${i}`)])
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
  ] as const)('%s stops all processes and exits with %i', async (signal, code) => {
    const project = createProject({ Procfile: 'a: sleep 60\nb: sleep 60; echo never\n' })
    const run = project.launch(['start'])
    await run.waitFor(/b\.1 started/)
    process.kill(run.pid, signal)
    expect((await run.ended).code).toBe(code)
    expect(run.survivors()).toEqual([])
  })

  test.each([0, 20, 40, 60, 80, 120])('SIGTERM %i ms after the start leaves no process behind', async (ms) => {
    const project = createProject({ Procfile: 'a: sleep 60\nb: sleep 60\nc: sleep 60\nd: sleep 60\n' })
    const run = project.launch(['start'])
    await new Promise((resolve) => setTimeout(resolve, ms))
    process.kill(run.pid, 'SIGTERM')
    await run.ended
    expect(run.survivors()).toEqual([])
  })

  test('a prompt of a child without a newline delays neither other children nor the stop, and is shown at the end', async () => {
    const project = createProject({ Procfile: `a: ${fixture('prompts.sh')}\nb: sleep 0.3; echo here; sleep 60\n` })
    const run = project.launch(['start'])
    await run.waitFor(/b\.1 +\| here/)
    process.kill(run.pid, 'SIGTERM')
    expect((await run.ended).code).toBe(143)
    expect(linesOf(run.stdout())).toEqual(['continue? '])
  })

  test('a SIGTERM that the platform has sent to every process is not sent to the children again', async () => {
    const project = createProject()
    const run = project.launch([
      'start',
      '-f',
      writeProcfile(project, `a: ${fixture('counts-sigterm.mjs', project.path('terms'), 700)}\n`),
    ])
    await run.waitFor(/ready/)
    for (let again = 0; again < 3; again += 1) process.kill(run.pid, 'SIGTERM')
    for (const pid of run.survivors()) if (pid !== run.pid) process.kill(pid, 'SIGTERM')
    expect((await run.ended).code).toBe(143)
    expect(readFileSync(project.path('terms'), 'utf8')).toBe('TERM\n')
  })

  test('repeated SIGTERM to the supervisor sends one SIGTERM to the child', async () => {
    const project = createProject()
    const run = project.launch([
      'start',
      '-f',
      writeProcfile(project, `a: ${fixture('counts-sigterm.mjs', project.path('terms'), 500)}\n`),
    ])
    await run.waitFor(/ready/)
    process.kill(run.pid, 'SIGTERM')
    await run.waitFor(/sending SIGTERM/)
    for (let again = 0; again < 5; again += 1) process.kill(run.pid, 'SIGTERM')
    expect((await run.ended).code).toBe(143)
    expect(readFileSync(project.path('terms'), 'utf8')).toBe('TERM\n')
  })

  test('the watchdog ends all children when the supervisor is killed, even if they ignore SIGTERM', async () => {
    const project = createProject({ Procfile: `a: ${fixture('ignores-sigterm.sh')}\nb: sleep 60 & sleep 61\n` })
    const run = project.launch(['start'])
    await run.waitFor(/ready/)
    process.kill(run.pid, 'SIGKILL')
    await until(() => run.survivors().length === 0)
  })

  test('a closed output of the supervisor stops the children gracefully, and the run exits with 141', async () => {
    const project = createProject({ Procfile: `a: ${fixture('floods-stdout.mjs')}\nb: ${fixture('finishes-slowly.mjs')}\n` })
    const run = project.launch(['start'])
    await run.waitFor(/line 10 /)
    run.child.stdout!.destroy()
    expect((await run.ended).code).toBe(141)
    expect(run.survivors()).toEqual([])
  })
})

function writeProcfile(project: { path(name: string): string }, text: string): string {
  const path = project.path('Procfile.test')
  writeFileSync(path, text)
  return path
}
