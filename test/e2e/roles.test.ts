import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { freePort } from '../support/dyno.ts'
import { type RoleProcess, startRole } from '../support/role.ts'
import { until } from '../support/until.ts'

const main = join(import.meta.dirname, '../../dist/src/main.js')
let schema: TestSchema
const roles: RoleProcess[] = []

beforeEach(async () => {
  schema = await createTestSchema({ migrated: false })
})
afterEach(async () => {
  for (const role of roles) role.kill('SIGKILL')
  for (const role of roles.splice(0)) await role.exited
  await schema.drop()
})

/** Runs a command of `onedyno` to its end. */
async function onedyno(
  args: readonly string[],
  env: Record<string, string> = schema.env,
): Promise<{ code: number | null; output: string }> {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [main, ...args], { env: { PATH, HOME, ...env } })
  let output = ''
  const collect = (chunk: Buffer) => {
    output += chunk
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

describe('migrate', () => {
  it('creates the schema, and changes nothing when it runs again', async () => {
    expect(await onedyno(['migrate'])).toMatchObject({
      code: 0,
      output: expect.stringContaining('migrated migration=0001_first-tables'),
    })
    const second = await onedyno(['migrate'])
    expect(second).toMatchObject({ code: 0, output: expect.stringContaining('applied=0') })
    expect(second.output).not.toContain('migrated')
  })

  it('creates the schema once if three processes migrate at the same time', async () => {
    const all = await Promise.all([1, 2, 3].map(() => onedyno(['migrate'])))
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0])
    expect(all.filter(({ output }) => output.includes('migrated')).length).toBe(1)
  })
})

describe('the command line', () => {
  it.each(['web', 'worker', 'beat'])('refuses an old schema with a hint to run `onedyno migrate`: %s', async (role) => {
    const { code, output } = await onedyno([role], { ...schema.env, PORT: '0' })
    expect(code).toBe(78)
    expect(output).toContain('lacks 0001_first-tables')
    expect(output).toContain('hint: Run `onedyno migrate`')
  })

  it('refuses to start a role on a schema of a newer version', async () => {
    await onedyno(['migrate'])
    await query(schema.url, `INSERT INTO "${schema.schema}".migration (name, run_on) VALUES ('9999_later', now())`)
    expect(await onedyno(['worker'])).toMatchObject({ code: 78, output: expect.stringContaining('already has 9999_later') })
  })

  it.each([
    [['worker', '--no-such-option'], 64, '--help'],
    [['worker', '-c', 'many'], 64, '--concurrency="many" is not a whole number of 1 to'],
    [['worker', '-c', '0', '--pool', 'prefork'], 64, '--concurrency="0" is not a whole number'],
    [['worker', '-c', '0', '--pool', 'prefork'], 64, '--pool="prefork" is not one of async, thread'],
    [['worker', '-Q', ','], 64, '--queues="," names nothing'],
    [['worker', '--max-tasks', '-1'], 64, 'max-tasks'],
    [['worker', '--max-memory=1GB'], 64, '--max-memory="1GB" is not'],
    [['worker', '--time-limit', '1m'], 64, '--time-limit="1m" is not'],
    [['worker', '--soft-time-limit', ''], 64, '--soft-time-limit "" is empty'],
    [['web', '-p', 'http'], 64, '--port="http" is not a whole number'],
    [['call', 'tasks.echo', '--args', '["a"]', '--queue', 'a,b'], 64, 'it takes one name, such as a or b'],
    [['call', 'tasks.echo', '--args', '["a"]', '--queue', ' a'], 64, 'it takes one name, such as a'],
    [['call', 'tasks.echo', '--args', '["a"]', '--queue', ''], 64, 'it takes one name'],
    [['worker', '--loglevel', 'loud'], 64, 'debug, info, warn, error, silent'],
    [['worker', '--app', '/no/such/file.js'], 78, 'cannot be loaded'],
    [['worker', '--app', join(import.meta.dirname, '../../vitest.config.ts')], 78, 'no application'],
    [['beat', 'extra'], 64, '--help'],
  ])('refuses %j with a hint', async (args, code, said) => {
    await onedyno(['migrate'])
    const ended = await onedyno(args)
    expect(ended.output).toContain(said)
    expect(ended.output).toContain('hint: ')
    expect(ended.code).toBe(code)
  })

  it.each(['web', 'worker', 'beat', 'migrate', 'tasks'])('prints a help text of at most 40 lines: %s', async (role) => {
    const { code, output } = await onedyno([role, '--help'], {})
    expect(code).toBe(0)
    expect(output).toContain('Usage: onedyno ')
    expect(output.split('\n').length).toBeLessThanOrEqual(41)
  })

  it('lists the registered tasks', async () => {
    expect((await onedyno(['tasks'], {})).output).toMatch(/^tasks\.echo.*\n(.*\n)*tasks\.fetch_url\(url\) /)
  })

  it('reports all invalid environment variables in one error', async () => {
    const { code, output } = await onedyno(['worker'], { PORT: 'x', CONCURRENCY: '0' })
    expect(code).toBe(78)
    expect(output).toMatch(/CONCURRENCY="0".*PORT="x"/)
  })
})

/** A proxy to the database that can be closed and opened. */
async function createGate(url: string) {
  const { host, port: serverPort, user, database } = new Client({ connectionString: url })
  const open = () => (host.startsWith('/') ? connect(`${host}/.s.PGSQL.${serverPort}`) : connect(serverPort, host))
  const sockets = new Set<Socket>()
  let server: Server | undefined
  const port = await freePort()
  return {
    url: `postgresql://${user}@127.0.0.1:${port}/${database}`,
    async open() {
      server = createServer((socket) => {
        const upstream = open()
        for (const each of [socket, upstream]) {
          sockets.add(each)
          each
            .on('error', () => {})
            .on('close', () => {
              socket.destroy()
              upstream.destroy()
            })
        }
        socket.pipe(upstream).pipe(socket)
      }).listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    close() {
      server?.close()
      for (const socket of sockets) socket.destroy()
      sockets.clear()
    },
  }
}

describe('a database that does not answer yet', () => {
  it('lets web listen at once, and makes the other roles wait', async () => {
    await onedyno(['migrate'])
    const gate = await createGate(schema.url)
    const env = { ...schema.env, DATABASE_URL: gate.url, PORT: String(await freePort()) }
    const base = `http://127.0.0.1:${env.PORT}`
    roles.push(await startRole('web', env))
    roles.push(await startRole('worker', env, [], { ready: /database does not answer, waiting/ }))
    expect((await fetch(`${base}/`)).status).toBe(200)
    expect((await fetch(`${base}/healthz`)).status).toBe(200)
    expect((await fetch(`${base}/readyz`)).status).toBe(503)
    await gate.open()
    await until('the worker is ready', () => roles[1]?.output().includes('worker ready'))
    await until('ready', async () => (await fetch(`${base}/readyz`)).status === 200)
    gate.close()
    await until('not ready', async () => (await fetch(`${base}/readyz`)).status === 503)
    await gate.open()
    await until('ready again', async () => (await fetch(`${base}/readyz`)).status === 200)
    const form = new URLSearchParams({ task: 'tasks.echo', args: '["after"]', schedule: '' })
    const response = await fetch(`${base}/`, { method: 'POST', body: form, redirect: 'manual' })
    const path = response.headers.get('location') ?? ''
    const run = await (await fetch(`${base}${path}?format=json&wait=10`)).json()
    expect(run).toMatchObject({ state: 'SUCCESS', result: 'after', args: ['after'] })
    expect(await (await fetch(`${base}${path}`)).text()).toContain('/?task&#61;tasks.echo&#38;args&#61;%5B%22after%22%5D')
    for (const role of roles) role.kill('SIGTERM')
    expect(await Promise.all(roles.map(({ exited }) => exited))).toEqual([0, 0])
    gate.close()
  })
})

describe('worker --beat', () => {
  it('runs tasks and sends scheduled tasks in one process', async () => {
    await onedyno(['migrate'])
    roles.push(await startRole('worker', schema.env, ['--beat', '--loglevel=info']))
    await query(
      schema.url,
      `INSERT INTO "${schema.schema}".schedule (name, task, args, kind, every, period, anchor) VALUES ('s', 'tasks.echo', '[1]', 'interval', 1, 'seconds', now())`,
    )
    const done = `SELECT FROM "${schema.schema}".task_result WHERE task = 'tasks.echo' AND state = 'SUCCESS'`
    await until('three results', async () => (await query(schema.url, done)).length >= 3)
    roles[0]?.kill('SIGTERM')
    roles[0]?.kill('SIGTERM')
    expect(await roles[0]?.exited).toBe(0)
    expect(roles[0]?.output()).toContain('worker stopped')
  })
})
