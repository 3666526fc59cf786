import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { EXPORT_FORMATS, writeExport } from '../../supervisor/export/export.ts'
import { shellQuote } from '../../supervisor/export/plan.ts'
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

function write(format: string) {
  const { dir } = createProject()
  writeExport(format, join(dir, 'out'), plan)
  const read = (name: string) => readFileSync(join(dir, 'out', name), 'utf8')
  return { dir: join(dir, 'out'), read, names: readdirSync(join(dir, 'out'), { recursive: true }).map(String).toSorted() }
}

describe('systemd', () => {
  test('one target and one service for each process', () => {
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

  test.runIf(existsSync('/usr/bin/systemd-analyze'))('systemd itself finds nothing wrong', () => {
    const { dir, names } = write('systemd')
    const units = names.map((name) => join(dir, name))
    const said = execFileSync('systemd-analyze', ['verify', ...units], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    expect(said).toBe('')
  })
})

test('supervisord: one file, a program for each process, values quoted for its shell-like reader', () => {
  const { names, read } = write('supervisord')
  expect(names).toEqual(['shop.conf'])
  const text = read('shop.conf')
  expect(text).toContain('[program:shop-web-2]\n')
  expect(text).toContain(`command=/bin/sh -c 'node "a b.js" --rate 5%% --home $HOME'\n`)
  expect(text).toContain(`QUOTES="it's \\"so\\""`)
  expect(text).toContain('PERCENT="100%%"')
  expect(text).toContain('[group:shop]\nprograms=shop-web-1,shop-web-2,shop-my-worker-1\n')
})

test('upstart: a job for app, type and process, one above the other', () => {
  const { names, read } = write('upstart')
  expect(names).toEqual([
    'shop-my-worker-1.conf',
    'shop-my-worker.conf',
    'shop-web-1.conf',
    'shop-web-2.conf',
    'shop-web.conf',
    'shop.conf',
  ])
  expect(read('shop-web-1.conf')).toMatch(/^start on starting shop-web\nstop on stopping shop-web\nrespawn\n/)
  expect(read('shop-web.conf')).toBe('start on starting shop\nstop on stopping shop\n')
})

test('runit: a service folder for each process, which sh accepts, with its environment in files', () => {
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

test.each(EXPORT_FORMATS)('%s: only the owner may read it, since the environment may hold secrets', (format) => {
  const { dir, names } = write(format)
  for (const name of names) {
    const stat = statSync(join(dir, name))
    if (stat.isFile()) expect(stat.mode & 0o077).toBe(0)
  }
})

test.each(['', 'a', "it's", '$x `y` "z" \\', 'a\nb', 'é', '--'])('a shell reads %j back from its quoted form', (text) => {
  expect(execFileSync('sh', ['-c', `printf '%s' ${shellQuote(text)}`], { encoding: 'utf8' })).toBe(text)
})
