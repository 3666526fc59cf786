import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { EXPORT_FORMATS, writeExport } from '../../../supervisor/export/export.ts'
import { shellQuote } from '../../../supervisor/export/plan.ts'
import { createProject } from './project.ts'

const env = { PLAIN: 'x', QUOTES: `it's "so"`, PERCENT: '100%', DOLLAR: '$HOME', LINES: 'a\nb', BACKSLASH: 'a\\b' }
const processes = [
  { name: 'web.1', type: 'web', command: 'node "a b.js" --rate 5% --home $HOME', port: 5000 },
  { name: 'web.2', type: 'web', command: 'node "a b.js" --rate 5% --home $HOME', port: 5001 },
  { name: 'my-worker.1', type: 'my-worker', command: "sh -c 'exec work'", port: 5100 },
]
const plan = {
  app: 'shop',
  user: 'root',
  log: '/var/log/shop',
  shell: '/bin/sh',
  root: '/srv/the shop',
  stopSeconds: 25,
  env,
  processes,
}

function write(format: string, variables: Record<string, string> = env) {
  const { dir } = createProject()
  writeExport(format, join(dir, 'out'), { ...plan, env: variables })
  const read = (name: string) => readFileSync(join(dir, 'out', name), 'utf8')
  return { dir: join(dir, 'out'), read, names: readdirSync(join(dir, 'out'), { recursive: true }).map(String).toSorted() }
}

describe('systemd', () => {
  test('writes one target for the app and one service for each process', () => {
    const { names, read } = write('systemd')
    expect(names).toEqual(['shop-my-worker-1.service', 'shop-web-1.service', 'shop-web-2.service', 'shop.target'])
    expect(read('shop.target')).toContain('Wants=shop-web-1.service shop-web-2.service shop-my-worker-1.service\n')
    const unit = read('shop-web-2.service')
    expect(unit).toContain('Environment="PORT=5001"\n')
    expect(unit).toContain('Environment="PERCENT=100%%"\n')
    expect(unit).toContain('Environment="QUOTES=it\'s \\"so\\""\n')
    expect(unit).toContain('Environment="LINES=a\\nb"\n')
    expect(unit).toContain('ExecStart=/bin/sh -c "node \\"a b.js\\" --rate 5%% --home $$HOME"\n')
    expect(unit).toContain('RestartPreventExitStatus=78\n')
  })

  test.runIf(existsSync('/usr/bin/systemd-analyze'))('writes units that systemd-analyze accepts', () => {
    const { dir, names } = write('systemd')
    const units = names.map((name) => join(dir, name))
    const said = execFileSync('systemd-analyze', ['verify', ...units], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    expect(said).toBe('')
  })
})

test('supervisord: writes one file with one readable program section for each process', () => {
  const { names, read } = write('supervisord', { PERCENT: '100%', BACKSLASH: 'a\\b', JSON: '{"a":1}' })
  expect(names).toEqual(['shop.conf'])
  const text = read('shop.conf')
  expect(text).toContain('[program:shop-web-2]\n')
  expect(text).toContain(`command=/bin/sh -c 'node "a b.js" --rate 5%% --home $HOME'\n`)
  expect(text).toContain('BACKSLASH="a\\b"')
  expect(text).toContain(`JSON='{"a":1}',PERCENT="100%%"`)
  expect(text).toContain('[group:shop]\nprograms=shop-web-1,shop-web-2,shop-my-worker-1\n')
})

/** Parses a file as supervisord does (supervisor 4, options.py and datatypes.py) and runs its program. */
const SUPERVISORD = `
import configparser, os, shlex, subprocess, sys
config = configparser.RawConfigParser(inline_comment_prefixes=(';', '#'), strict=False)
config.read(sys.argv[1])
program = {name: value % {} for name, value in config['program:' + sys.argv[2]].items()}
lexer = shlex.shlex(program['environment'])
lexer.wordchars += '/.+-():'
words = list(lexer)
env = {words[i]: words[i + 2].strip('\\'"') for i in range(0, len(words), 4) if words[i + 1] == '='}
subprocess.run(shlex.split(program['command']), env={'PATH': os.environ['PATH'], **env}, check=True)
`
const hasPython = spawnSync('python3', ['-c', '']).status === 0
test.runIf(hasPython)('supervisord: runs a command and its environment unchanged, whatever characters they have', () => {
  const values = {
    ...env,
    JSON: '{"a": "b"}',
    QUOTED: '"x"',
    COMMENT: 'a ;b #c',
    BOTH: `' "`,
    EMPTY: '',
    COMMA: 'a,b=c',
    UTF8: 'é %(x)s',
  }
  const command = `${process.execPath} -e "process.stdout.write(JSON.stringify(process.env) + '%d')" ; echo ' ; # é'`
  const { dir } = createProject()
  writeExport('supervisord', dir, { ...plan, env: values, processes: [{ name: 'a.1', type: 'a', command, port: 5000 }] })
  const out = execFileSync('python3', ['-c', SUPERVISORD, join(dir, 'shop.conf'), 'shop-a-1'], { encoding: 'utf8' })
  const [read, rest] = out.split(/(?<=\})(?=%d)/) as [string, string]
  expect(JSON.parse(read)).toMatchObject({ ...values, PORT: '5000', PS: 'a.1' })
  expect(rest).toBe('%d ; # é\n')
})

test('runit: writes a service folder for each process, with valid scripts and one file for each environment variable', () => {
  const { dir, read } = write('runit')
  expect(readdirSync(dir).toSorted()).toEqual(['shop-my-worker-1', 'shop-web-1', 'shop-web-2'])
  expect(read('shop-web-2/env/PORT')).toBe('5001')
  expect(read('shop-web-2/env/LINES')).toBe('a\0b')
  for (const script of ['run', 'log/run']) {
    const path = join(dir, 'shop-web-1', script)
    expect(statSync(path).mode & 0o100).toBe(0o100)
    execFileSync('sh', ['-n', path])
  }
})

test.each(EXPORT_FORMATS)(
  '%s: writes files that only their owner may read, because the environment may contain secrets',
  (format) => {
    const { dir, names } = write(format)
    for (const name of names) {
      const stat = statSync(join(dir, name))
      if (stat.isFile()) expect(stat.mode & 0o077).toBe(0)
    }
  },
)

test.each(['', 'a', "it's", '$x `y` "z" \\', 'a\nb', 'é', '--'])('export writes %j as one word of a shell', (text) => {
  expect(execFileSync('sh', ['-c', `printf '%s' ${shellQuote(text)}`], { encoding: 'utf8' })).toBe(text)
})
