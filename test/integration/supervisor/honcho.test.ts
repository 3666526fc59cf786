import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createProject, type LaunchOptions } from './project.ts'

/** Runs the command in a folder with these files and waits for its end. */
async function honcho(files: Record<string, string>, argv: string[], options: LaunchOptions = {}) {
  const project = createProject(files)
  const run = project.launch(argv, options)
  const { code } = await run.ended
  return { code, out: run.stdout(), err: run.stderr(), project }
}

/** The behaviour that Honcho 2.0 checks in its own tests/integration. */
describe('as in Honcho 2', () => {
  test('check lists the processes on stderr', async () => {
    const { code, err } = await honcho({ Procfile: 'foo: a\nbar: b\nbaz: c\n' }, ['check'])
    expect(code).toBe(0)
    expect(err).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[\d+\] \[INFO\] Valid procfile detected \(foo, bar, baz\)\n$/)
  })

  test('export supervisord writes one file', async () => {
    const { code, project } = await honcho({ Procfile: 'web: python web.py\n' }, ['export', 'supervisord', 'out', '-a', 'neck'])
    expect(code).toBe(0)
    expect(readFileSync(join(project.dir, 'out/neck.conf'), 'utf8')).toContain('[program:neck-web-1]')
  })

  test('run passes the environment of .env to the command and keeps its stdout and stderr apart', async () => {
    const files = { '.env': 'ANIMAL=elephant\n', '.env.x': 'ANIMAL=giraffe\n' }
    const script = ['sh', '-c', 'echo $ANIMAL; echo oops >&2']
    const plain = await honcho(files, ['run', ...script])
    expect([plain.code, plain.out, plain.err]).toEqual([0, 'elephant\n', 'oops\n'])
    expect((await honcho(files, ['-e', '.env.x', 'run', ...script])).out).toBe('giraffe\n')
    expect((await honcho(files, ['run', '-e', '.env.x', ...script])).out).toBe('giraffe\n')
    expect((await honcho(files, ['run', '--', ...script])).out).toBe('elephant\n')
  })

  test('run exits with the code of the command, or 128 + n after signal n', async () => {
    expect((await honcho({}, ['run', 'sh', '-c', 'exit 42'])).code).toBe(42)
    expect((await honcho({}, ['run', 'sh', '-c', 'kill -SEGV $$'])).code).toBe(139)
  })

  test('run reports a program that does not exist', async () => {
    const { code, err } = await honcho({}, ['run', 'no-such-program-here'])
    expect(code).toBe(127)
    expect(err).toMatch(/^error: cannot run "no-such-program-here": ENOENT\nhint: /)
  })

  test('run keeps quoted words together', async () => {
    const { out } = await honcho({}, ['run', 'printf', '%s|', 'a b', 'c"d', "e'f", '$HOME'])
    expect(out).toBe('a b|c"d|e\'f|$HOME|')
  })

  test('run forwards SIGTERM', async () => {
    const project = createProject()
    const run = project.launch(['run', 'sh', '-c', "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"])
    await run.waitFor(/ready/)
    process.kill(run.pid, 'SIGTERM')
    expect((await run.ended).code).toBe(7)
    expect(run.survivors()).toEqual([])
  })

  test('start writes both streams of a child to stdout', async () => {
    const { code, out } = await honcho({ Procfile: 'foo: echo normal; echo error >&2\n' }, ['start'])
    expect(code).toBe(0)
    expect(out).toMatch(/^\d\d:\d\d:\d\d foo\.1 {2}\| normal$/m)
    expect(out).toMatch(/^\d\d:\d\d:\d\d foo\.1 {2}\| error$/m)
    expect(out).toMatch(/^\d\d:\d\d:\d\d system \| foo\.1 started \(pid=\d+\)$/m)
    expect(out).toMatch(/^\d\d:\d\d:\d\d system \| foo\.1 stopped \(rc=0\)$/m)
  })

  test('start passes the environment of .env to the children', async () => {
    const { out } = await honcho({ Procfile: 'foo: echo $ANIMAL\n', '.env': 'ANIMAL=elephant\n' }, ['start'])
    expect(out).toContain('| elephant\n')
  })

  test('-f overrides PROCFILE of the environment and of .env', async () => {
    const files = { '.env': 'PROCFILE=P.env\n', 'P.env': 'a: echo from-env\n', 'P.flag': 'a: echo from-flag\n', '.none': '' }
    expect((await honcho(files, ['start'])).out).toContain('from-env')
    expect((await honcho(files, ['start', '-f', 'P.flag'])).out).toContain('from-flag')
    expect((await honcho(files, ['start', '-e', '.none'], { env: { PROCFILE: 'P.flag' } })).out).toContain('from-flag')
  })

  test('start exits with the code of the first process that ended', async () => {
    expect((await honcho({ Procfile: 'foo: exit 42\nbar: sleep 60\n' }, ['start'])).code).toBe(42)
  })

  test('version prints the version, and help fits one screen', async () => {
    for (const argv of [['version'], ['--version'], ['-v']])
      expect((await honcho({}, argv)).out).toMatch(/^onedyno \d+\.\d+\.\d+\n$/)
    const { out } = await honcho({}, ['help'])
    expect(out).toMatch(/^usage: onedyno/)
    expect(out.split('\n').length).toBeLessThanOrEqual(41)
  })
})

/** Further behaviour that the tests of Honcho 0.5 check. */
describe('as in Honcho 0.5', () => {
  test('start runs only the named processes', async () => {
    const files = { Procfile: 'a: echo in-a; sleep 0.2\nb: echo in-b; sleep 0.2\nc: echo in-c; sleep 0.2\n' }
    const { code, out } = await honcho(files, ['start', 'a', 'c'])
    expect(code).toBe(0)
    expect(out).toContain('in-a')
    expect(out).toContain('in-c')
    expect(out).not.toContain('in-b')
  })

  test('-q hides the lines of a process, but not its start and stop', async () => {
    const files = { Procfile: 'a: echo in-a; sleep 0.2\nb: echo in-b; sleep 0.2\nc: echo in-c; sleep 0.2\n' }
    const { out } = await honcho(files, ['start', '-q', 'a,c'])
    expect(out).not.toMatch(/in-[ac]/)
    expect(out).toContain('in-b')
    expect(out).toContain('a.1 started')
  })

  test('PORT starts at the port of -p, .env or the environment, and is higher for each process type and instance', async () => {
    const files = { Procfile: 'a: echo a$PORT; sleep 0.3\nb: echo b$PORT; sleep 0.3\n' }
    const ports = async (argv: string[], more: Record<string, string> = {}, options: LaunchOptions = {}) =>
      [...(await honcho({ ...files, ...more }, ['start', ...argv], options)).out.matchAll(/\| ([ab]\d+)$/gm)]
        .map((match) => match[1])
        .toSorted()
    expect(await ports([])).toEqual(['a5000', 'b5100'])
    expect(await ports(['-c', 'a=2'])).toEqual(['a5000', 'a5001', 'b5100'])
    expect(await ports([], { '.env': 'PORT=7000' })).toEqual(['a7000', 'b7100'])
    expect(await ports([], {}, { env: { PORT: '8000' } })).toEqual(['a8000', 'b8100'])
    expect(await ports(['-p', '9000'], { '.env': 'PORT=7000' }, { env: { PORT: '8000' } })).toEqual(['a9000', 'b9100'])
    expect(await ports(['--env-wins'], { '.env': 'PORT=7000' }, { env: { PORT: '8000' } })).toEqual(['a8000', 'b8100'])
  })

  test('--format honcho-0.5 shows the pid in each line of a process, and always uses colours', async () => {
    const { out } = await honcho({ Procfile: 'foo: echo hello\n' }, ['start', '--format', 'honcho-0.5'])
    expect(out).toMatch(/^\x1b\[36m\d\d:\d\d:\d\d foo\.1 {2}\| \x1b\[0mstarted with pid \d+$/m)
    expect(out).toMatch(/^\x1b\[36m\d\d:\d\d:\d\d foo\.1 {2}\| \x1b\[0mhello$/m)
    expect(out).toMatch(/\x1b\[0mprocess terminated$/m)
  })

  test('a command with quotes and escapes reaches the shell unchanged', async () => {
    const { out } = await honcho({ Procfile: `a: echo "a: b" 'c # d' e=f \\$g; echo "$((1 + 1))"\n` }, ['start'])
    expect(out).toMatch(/\| a: b c # d e=f \$g$/m)
    expect(out).toMatch(/\| 2$/m)
  })
})

test.each(['help', 'version'])('%s exits with 0 when its reader closes the pipe', async (command) => {
  const main = join(import.meta.dirname, '../../../dist/src/main.js')
  const run = createProject().launch([command], { command: [process.execPath, main] })
  run.child.stdout!.destroy()
  expect([(await run.ended).code, run.stderr()]).toEqual([0, ''])
})

describe('invalid input', () => {
  const table: [name: string, files: Record<string, string>, argv: string[], code: number, message: RegExp][] = [
    ['no Procfile', {}, ['start'], 1, /^error: no Procfile at .*\/Procfile\nhint: .*-f/],
    ['an invalid Procfile with check', { Procfile: 'a: b\nweb echo\n' }, ['check'], 1, /^error: Procfile:2: no ":"/],
    ['an invalid Procfile with start', { Procfile: 'a: b\nweb echo\n' }, ['start'], 1, /^error: Procfile:2: no ":"/],
    ['an empty Procfile', { Procfile: '' }, ['check'], 1, /No processes defined/],
    [
      'an unknown process',
      { Procfile: 'a: b\n' },
      ['start', 'x'],
      1,
      /^error: no process "x" in the Procfile; its processes are a\n/,
    ],
    ['an invalid .env', { Procfile: 'a: b\n', '.env': 'oops\n' }, ['start'], 1, /^error: \.env:1: /],
    ['a NUL character in a Procfile', { Procfile: 'a: b\0c\n' }, ['check'], 1, /^error: Procfile:1: a NUL character .*UTF-16/],
    [
      'a NUL character in .env',
      { Procfile: 'a: b\n', '.env': 'A=1\nB="x\ny\0"\n' },
      ['start'],
      1,
      /^error: \.env:3: a NUL character .*UTF-16/,
    ],
    ['an unknown command', {}, ['strat'], 2, /unknown command "strat"; the commands are start, check/],
    ['no command', {}, [], 2, /missing command; the commands are start/],
    ['an unknown option', {}, ['start', '--bogus'], 2, /--bogus/],
    [
      'an invalid port',
      { Procfile: 'a: b\n' },
      ['start', '-p', '99999'],
      2,
      /--port "99999" is not a whole number from 1 to 65535/,
    ],
    ['an invalid timeout', { Procfile: 'a: b\n' }, ['start', '--timeout', 'x'], 2, /--timeout "x"/],
    ['an invalid format', { Procfile: 'a: b\n' }, ['start', '--format', 'x'], 2, /--format "x" is none of auto, honcho/],
    [
      'an unknown field of a format',
      { Procfile: 'a: b\n' },
      ['check', '--format', '{text} {x}'],
      2,
      /unknown field \{x\}; the fields are \{time\}/,
    ],
    ['an unknown process name after -q', { Procfile: 'a: b\n' }, ['start', '-q', 'x'], 1, /no process "x"/],
    [
      'an invalid memory limit',
      { Procfile: 'a: b\n' },
      ['start', '--max-memory', 'a=1X'],
      2,
      /--max-memory "a=1X" is not NAME=SIZE/,
    ],
    ['no instance to start', { Procfile: 'a: b\n' }, ['start', '-c', 'a=0'], 2, /nothing to start/],
    [
      'an invalid defaults file',
      { Procfile: 'a: b\n', '.onedyno': 'prot: 5\n' },
      ['start'],
      1,
      /^error: \.onedyno:1: unknown option "prot"/,
    ],
    [
      'an unknown export format',
      { Procfile: 'a: b\n' },
      ['export', 'launchd', 'x'],
      2,
      /the formats are systemd, supervisord, runit/,
    ],
    ['ps without a running supervisor', {}, ['ps'], 1, /no supervisor listens/],
    [
      'start in a missing folder',
      { Procfile: 'a: b\n' },
      ['start', '-f', '../Procfile', '-d', 'x'],
      1,
      /folder .*x does not exist\n/,
    ],
    [
      'check in a file instead of a folder',
      { Procfile: 'a: b\n' },
      ['check', '-d', 'Procfile'],
      1,
      /folder .*Procfile does not exist\n/,
    ],
    ['ps in a missing folder', {}, ['ps', '-d', 'nowhere'], 1, /folder .*nowhere does not exist/],
  ]
  test.each(table)('fails with a hint and no stack: %s', async (_name, files, argv, code, message) => {
    const result = await honcho(files, argv)
    expect(result.err).toMatch(message)
    expect(result.err).toMatch(/^hint: /m)
    expect(result.err).not.toMatch(/ at .*\.ts:/)
    expect([result.code, result.out]).toEqual([code, ''])
  })
})

describe('settings', () => {
  test('the command line overrides the defaults of a .onedyno file', async () => {
    const files = {
      Procfile: 'a: echo $PORT; sleep 0.2\n',
      '.onedyno': '# mine\nport: 6000\nno-prefix: true\nconcurrency: "a=2"\n',
    }
    expect((await honcho(files, ['start'])).out.match(/^600\d$/gm)?.toSorted()).toEqual(['6000', '6001'])
    expect((await honcho(files, ['start', '-p', '7000', '-c', 'a=1'])).out).toMatch(/^7000$/m)
  })

  test('reads .onedyno/defaults if .onedyno is a folder', async () => {
    const project = createProject({ Procfile: 'a: echo $PORT\n' })
    mkdirSync(project.path('.onedyno'))
    writeFileSync(project.path('.onedyno/defaults'), 'port: 6000\n')
    const run = project.launch(['start'])
    await run.ended
    expect(run.stdout()).toMatch(/\| 6000$/m)
  })

  test('-d sets the folder of Procfile and .env, but not the working directory of the children, as in Honcho', async () => {
    const project = createProject()
    mkdirSync(project.path('app'))
    writeFileSync(project.path('app/Procfile'), 'a: echo $A; pwd\n')
    writeFileSync(project.path('app/.env'), 'A=from-app\n')
    const run = project.launch(['-d', 'app', 'start'])
    await run.ended
    expect(run.stdout()).toContain('| from-app\n')
    expect(run.stdout()).toContain(`| ${project.dir}\n`)
  })

  test('children receive their name in three environment variables, and PYTHONUNBUFFERED', async () => {
    const { out } = await honcho(
      { Procfile: 'a: echo $PS $HONCHO_PROCESS_NAME $ONEDYNO_PROCESS $PYTHONUNBUFFERED\n', '.env': 'PS=no\n' },
      ['start'],
    )
    expect(out).toContain('| a.1 a.1 a.1 1\n')
  })

  test('SHUTDOWN_TIMEOUT tells children how many seconds they have to stop', async () => {
    const { out } = await honcho({ Procfile: 'a: echo [$SHUTDOWN_TIMEOUT]\n' }, ['start', '--timeout', '12.5'])
    expect(out).toContain('| [12]\n')
  })

  test('on a hosting platform, web receives $PORT wherever its line is in the Procfile, and log lines have no time', async () => {
    const files = { Procfile: 'beat: echo beat-$PORT; sleep 0.3\nweb: echo web-$PORT; sleep 0.3\n' }
    const { out } = await honcho(files, ['start'], { env: { DYNO: 'web.1', PORT: '5555' } })
    expect(out).toMatch(/^web\.1 {2}\| web-5555$/m)
    expect(out).toMatch(/^beat\.1 \| beat-5655$/m)
  })

  test('check reports the lines of .env that continue a value of the line before', async () => {
    const { code, err } = await honcho({ Procfile: 'a: true\n', '.env': 'A=1\noops\n' }, ['check'])
    expect(code).toBe(0)
    expect(err).toContain('[WARNING] .env:2: read as a continuation of A\n')
  })

  test('start forwards SIGUSR1 and SIGUSR2', async () => {
    const project = createProject({
      Procfile: `a: trap 'echo one' USR1; trap 'echo two; exit 0' USR2; echo ready; while :; do sleep 0.05; done\n`,
    })
    const run = project.launch(['start'])
    await run.waitFor(/ready/)
    process.kill(run.pid, 'SIGUSR1')
    await run.waitFor(/\| one/)
    process.kill(run.pid, 'SIGUSR2')
    expect((await run.ended).code).toBe(0)
    expect(run.stdout()).toMatch(/\| two/)
  })

  test('start warns about a missing file that -e names', async () => {
    const { code, err } = await honcho({ Procfile: 'a: true\n' }, ['start', '-e', '.env.missing'])
    expect([code, err]).toEqual([0, 'warning: .env.missing: no such file\n'])
  })
})
