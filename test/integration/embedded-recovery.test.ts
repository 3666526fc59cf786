import { cp, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findNative } from '../../src/embedded/bundled-server.ts'
import {
  forkOwner,
  type Owner,
  openTemporaryFolder,
  processesBelow,
  query,
  removeTemporaryFolder,
  serverPid,
} from '../support/embedded-owner.ts'

const servers = ['auto', ...(findNative() === undefined ? [] : ['bundled'])]

let folder: string
let owners: Owner[]

beforeEach(async () => {
  folder = await openTemporaryFolder()
  owners = []
})

afterEach(async () => {
  for (const owner of owners)
    if (owner.process.exitCode === null && owner.process.signalCode === null) await owner.kill('SIGTERM')
  expect(await removeTemporaryFolder(folder)).toEqual([])
})

const dotFolder = () => join(folder, '.onedyno')
const dataDirectory = () => join(dotFolder(), 'postgres')

function own(path = dotFolder(), options: Parameters<typeof forkOwner>[1] = {}): Owner {
  const owner = forkOwner(path, options)
  owners.push(owner)
  return owner
}

/** Makes a table with one row and kills the owner, whose server goes on. */
async function killedOwner(env: NodeJS.ProcessEnv = {}): Promise<{ url: string; pid: number }> {
  const owner = own(dotFolder(), { env })
  const { url } = await owner.started()
  await query(url, 'CREATE TABLE kept AS SELECT 42 AS n')
  const pid = await serverPid(dataDirectory())
  await owner.kill('SIGKILL')
  return { url, pid }
}

const keptRows = async (url: string) => (await query(url, 'SELECT n FROM kept')).rows

test.each(servers)('the embedded database adopts the server of a killed owner: %s', async (EMBEDDED_POSTGRES) => {
  const left = await killedOwner({ EMBEDDED_POSTGRES })
  expect(await keptRows(left.url)).toEqual([{ n: 42 }])
  const next = own()
  expect(await next.started()).toEqual({ url: left.url })
  expect(await next.hears('running database server adopted')).toMatchObject({ pid: left.pid })
  expect(await serverPid(dataDirectory())).toBe(left.pid)
  await next.kill('SIGTERM')
  expect(await processesBelow(folder)).toEqual([])
  expect((await readdir(dotFolder())).sort()).toEqual(['.gitignore', 'postgres'])
})

test('the embedded database restarts an adopted server that was killed, and keeps its address', async () => {
  const left = await killedOwner()
  const next = own()
  const { url } = await next.started()
  process.kill(left.pid, 'SIGKILL')
  await next.hears('database server ended')
  await expect.poll(() => keptRows(url).catch(() => []), { timeout: 10_000 }).toEqual([{ n: 42 }])
  expect(await serverPid(dataDirectory())).not.toBe(left.pid)
})

test.each(servers)('the embedded database loses no committed row by kill -9: %s', async (EMBEDDED_POSTGRES) => {
  const left = await killedOwner({ EMBEDDED_POSTGRES })
  process.kill(left.pid, 'SIGKILL')
  const next = own()
  expect(await keptRows((await next.started()).url)).toEqual([{ n: 42 }])
  expect(next.told.some(({ note }) => note === 'running database server adopted')).toBe(false)
})

test('the embedded database starts although a backend process outlives its killed server', async () => {
  const left = await killedOwner()
  const client = new Client({ connectionString: left.url })
  client.on('error', () => {})
  await client.connect()
  const backend: number = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
  process.kill(backend, 'SIGSTOP') // as stuck as one can be
  process.kill(left.pid, 'SIGKILL')
  const next = own()
  expect(await next.hears('ending processes of an earlier database server')).toMatchObject({ pids: [backend] })
  expect(await keptRows((await next.started()).url)).toEqual([{ n: 42 }])
  await client.end().catch(() => {})
}, 20_000)

test('the embedded database stops and replaces a server that hangs', async () => {
  const left = await killedOwner()
  // The server lives, but without its socket it cannot be reached.
  await rename(join(dotFolder(), 'run'), join(folder, 'run-moved'))
  const next = own()
  expect(await next.hears('database server of an earlier run does not answer, stopping it')).toMatchObject({ pid: left.pid })
  expect(await keptRows((await next.started()).url)).toEqual([{ n: 42 }])
}, 20_000)

test('the embedded database finds the data of a project that was moved while its server ran', async () => {
  await killedOwner()
  await mkdir(join(folder, 'new'))
  await rename(dotFolder(), join(folder, 'new/.onedyno'))
  const next = own(join(folder, 'new/.onedyno'))
  expect(await keptRows((await next.started()).url)).toEqual([{ n: 42 }])
}, 20_000)

test('the embedded database does not signal the unrelated process whose pid is in a copied pid file', async () => {
  const other = own(join(folder, 'copy/.onedyno'))
  await other.started()
  await other.kill('SIGTERM')
  const original = own()
  const { url } = await original.started()
  await cp(join(dataDirectory(), 'postmaster.pid'), join(folder, 'copy/.onedyno/postgres/postmaster.pid'))
  const copy = own(join(folder, 'copy/.onedyno'))
  expect((await copy.started()).url).not.toBe(url)
  expect(await serverPid(join(folder, 'copy/.onedyno/postgres'))).not.toBe(await serverPid(dataDirectory()))
  await copy.kill('SIGTERM')
  expect((await query(url, 'SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
})

test('the embedded database refuses one of two concurrent starts with the pid of the process that holds its folder', async () => {
  const [first, second] = [own(), own()]
  const results = await Promise.allSettled([first.started(), second.started()])
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  const [winner, loser] = results[0]?.status === 'fulfilled' ? [first, second] : [second, first]
  const refusal = await loser.hears('failed')
  expect(refusal).toMatchObject({ code: 'ALREADY_RUNNING', message: expect.stringContaining(`process ${winner.process.pid} `) })
})

test.each([
  ['a process that has ended', (text: string) => text.replace(/"pid":\d+/, '"pid":4194303')],
  ['a process whose pid was reused', (text: string) => text.replace(/"pid":\d+/, `"pid":${process.pid}`)],
  ['no process, because the machine crashed while the lock file was written', () => ''],
])('the embedded database takes over the lock of %s', async (_name, change) => {
  await killedOwner()
  const path = join(dotFolder(), 'owner.lock')
  await writeFile(path, change(await readFile(path, 'utf8')))
  await own().started()
})

test('the embedded database leaves neither a process nor an incomplete database after SIGTERM during initdb', async () => {
  const owner = own()
  await owner.hears('creating database')
  await expect.poll(() => processesBelow(folder), { interval: 5 }).not.toEqual([])
  await owner.kill('SIGTERM')
  expect(owner.told.at(-1)).toMatchObject({ note: 'failed', message: 'Error: cancelled' })
  expect(await processesBelow(folder)).toEqual([])
  expect(await readdir(dotFolder())).toEqual(['.gitignore', 'run'])
})

test('the embedded database starts after kill -9 during initdb', async () => {
  const owner = own()
  await owner.hears('creating database')
  await expect.poll(() => processesBelow(folder), { interval: 5 }).not.toEqual([])
  await owner.kill('SIGKILL')
  const next = own()
  await next.started()
  expect((await readdir(dotFolder())).filter((name) => name.startsWith('draft-'))).toEqual([])
  const server = await serverPid(dataDirectory())
  await next.kill('SIGTERM')
  expect(server).toBeGreaterThan(1)
  expect(await processesBelow(folder)).toEqual([])
})

test('the embedded database leaves no process after SIGTERM during the start of the server', async () => {
  const first = own()
  await first.started()
  await first.kill('SIGTERM')
  const second = own()
  await expect.poll(() => processesBelow(folder), { interval: 1, timeout: 15_000 }).not.toEqual([])
  await second.kill('SIGTERM')
  expect(await processesBelow(folder)).toEqual([])
})
