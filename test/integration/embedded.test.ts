import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Embedded, type EmbeddedOptions, startEmbedded } from '../../src/embedded/embedded.ts'
import { findServer } from '../../src/embedded/find-server.ts'
import { openTemporaryFolder, processesBelow, query, removeTemporaryFolder, serverPid } from '../support/embedded-owner.ts'

const run = promisify(execFile)
const isRoot = process.geteuid?.() === 0
const hasPsql = await run('psql', ['--version']).then(
  () => true,
  () => false,
)

let folder: string
let notes: { message: string; [field: string]: unknown }[]
let written: string
let databases: Embedded[]

beforeEach(async () => {
  folder = await openTemporaryFolder()
  notes = []
  written = ''
  databases = []
})

afterEach(async () => {
  for (const database of databases) await database.stop()
  expect(await removeTemporaryFolder(folder)).toEqual([])
})

async function start(options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const database = await startEmbedded({
    dataDir: join(folder, '.onedyno'),
    env: process.env,
    signal: new AbortController().signal,
    log: (chunk) => {
      written += chunk
    },
    note: (message, fields) => notes.push({ message, ...fields }),
    ...options,
  })
  databases.push(database)
  return database
}

const dataDirectory = () => join(folder, '.onedyno/postgres')
const heard = (message: string) => notes.filter((note) => note.message === message)

test('the embedded database is created at its first start, and leaves no process behind after stop()', async () => {
  const { url, stop } = await start()
  expect(url).toBe(`postgresql://onedyno@/onedyno?host=${folder}/.onedyno/run&port=5432`)
  const { rows } = await query(url, 'SELECT current_database() AS name')
  expect(rows).toEqual([{ name: 'onedyno' }])
  expect(await readFile(join(folder, '.onedyno/.gitignore'), 'utf8')).toBe('*\n')
  const pid = await serverPid(dataDirectory())
  await Promise.all([stop(), stop()])
  await stop()
  expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  expect(await processesBelow(folder)).toEqual([])
  expect((await readdir(join(folder, '.onedyno'))).sort()).toEqual(['.gitignore', 'postgres'])
})

test('the embedded database writes no server log during a usual start and stop', async () => {
  await (await start()).stop()
  await (await start()).stop()
  expect(written).toBe('')
})

test('the embedded database logs an error of a client as one line without the statement', async () => {
  const { url } = await start()
  await expect(query(url, "SELECT 'secret'::integer")).rejects.toThrow()
  await expect.poll(() => written).toMatch(/^\[\d+\] ERROR: {2}invalid input syntax for type integer: "secret" at character 8\n$/)
})

test('the embedded database has durable settings, does not listen on a network and uses little memory', async () => {
  const { url } = await start()
  const { rows } = await query(
    url,
    `SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'listen_addresses', 'jit', 'lc_collate',
     'server_encoding', 'unix_socket_permissions', 'max_connections')`,
  )
  const settings = Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))
  expect(settings).toMatchObject({
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    listen_addresses: '',
    jit: 'off',
    max_connections: '50',
  })
  expect(settings).toMatchObject({ server_encoding: 'UTF8', unix_socket_permissions: '0700' })
  const { rows: collation } = await query(url, 'SELECT datcollate FROM pg_database WHERE datname = current_database()')
  expect(collation).toEqual([{ datcollate: 'C' }])
})

test.runIf(isRoot)(
  'the embedded database runs the server of root as another user, and only this user can use its data and its socket',
  async () => {
    await start()
    const pid = await serverPid(dataDirectory())
    for (const path of [`/proc/${pid}`, dataDirectory(), join(folder, '.onedyno/run')])
      expect((await stat(path)).uid, path).not.toBe(0)
    for (const path of [dataDirectory(), join(folder, '.onedyno/run')]) expect((await stat(path)).mode & 0o777, path).toBe(0o700)
  },
)

test.runIf(hasPsql)(
  'the embedded database can be reached by psql with the same URL, whatever PG variables the shell has',
  async () => {
    const { url } = await start()
    const env = { ...process.env, PGPORT: '1', PGHOST: 'localhost', PGUSER: 'nobody', PGDATABASE: 'none' }
    const { stdout } = await run('psql', [url, '-Atc', 'SELECT current_user, current_database()'], { env })
    expect(stdout).toBe('onedyno|onedyno\n')
  },
)

test('the embedded database finds the data of the first start at the second start', async () => {
  const first = await start()
  await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS n')
  await first.stop()
  const second = await start()
  expect(second.url).toBe(first.url)
  expect((await query(second.url, 'SELECT n FROM kept')).rows).toEqual([{ n: 42 }])
  expect(heard('creating database')).toHaveLength(1)
})

test('the embedded database restarts a killed server at the same address with all committed data', async () => {
  const { url } = await start()
  await query(url, 'CREATE TABLE kept AS SELECT 42 AS n')
  for (const deaths of [1, 2]) {
    const pid = await serverPid(dataDirectory())
    const client = new Client({ connectionString: url })
    const lost = new Promise<void>((resolve) => client.on('error', () => resolve()))
    await client.connect()
    process.kill(pid, 'SIGKILL')
    await lost
    await expect
      .poll(
        () =>
          query(url, 'SELECT n FROM kept').then(
            ({ rows }) => rows,
            () => [],
          ),
        { timeout: 10_000 },
      )
      .toEqual([{ n: 42 }])
    expect(heard('database server ended')).toHaveLength(deaths)
    expect(heard('database server ended').at(-1)).toMatchObject({ pid, signal: 'SIGKILL' })
    expect(await serverPid(dataDirectory())).not.toBe(pid)
  }
})

test('the embedded database leaves no process behind if it is stopped while its server restarts', async () => {
  const { stop } = await start()
  process.kill(await serverPid(dataDirectory()), 'SIGKILL')
  await expect.poll(() => heard('database server ended')).toHaveLength(1)
  await stop()
  expect(await processesBelow(folder)).toEqual([])
})

test('the embedded database refuses a second owner with an error that has the pid of the first owner, and the first owner continues', async () => {
  const { url } = await start()
  await expect(start()).rejects.toMatchObject({
    code: 'ALREADY_RUNNING',
    message: expect.stringContaining(`process ${process.pid} runs the database of ${folder}`),
  })
  expect((await query(url, 'SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
})

test('the embedded database creates nothing if its start was cancelled before it began', async () => {
  await expect(start({ signal: AbortSignal.abort(new Error('cancelled')) })).rejects.toThrow('cancelled')
  expect(await readdir(folder)).toEqual([])
})

test('the embedded database refuses data of another major version of PostgreSQL, with both versions in the error', async () => {
  await mkdir(dataDirectory(), { recursive: true })
  await writeFile(join(dataDirectory(), 'PG_VERSION'), '9\n')
  await expect(start({ env: { ...process.env, EMBEDDED_POSTGRES: 'auto' } })).rejects.toMatchObject({
    code: 'DATABASE_VERSION_MISMATCH',
    message: expect.stringMatching(/^PostgreSQL 9 made the data in .*\/postgres; found here: \d+\.\d+ \((system|bundled), \//),
  })
  expect(existsSync(join(folder, '.onedyno/owner.lock'))).toBe(false)
})

test('the embedded database reports a server that cannot start with the whole server log, and leaves no process behind', async () => {
  await (await start()).stop()
  await rm(join(dataDirectory(), 'global/pg_control'))
  await expect(start()).rejects.toMatchObject({ code: 'DATABASE_START_FAILED', message: expect.stringContaining('"code":2') })
  expect(written).toContain('could not find the database system')
  expect((await readdir(join(folder, '.onedyno'))).sort()).toEqual(['.gitignore', 'postgres', 'run'])
})

test('the embedded database creates its database again if it was dropped or its creation was interrupted', async () => {
  const first = await start()
  await query(first.url.replace('/onedyno?', '/postgres?'), 'DROP DATABASE onedyno')
  await first.stop()
  expect((await query((await start()).url, 'SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
})

test('the error names the searched places if no PostgreSQL server is installed', async () => {
  const home = { path: folder, dataDirectory: dataDirectory(), user: undefined }
  const options = {
    choice: 'system',
    path: folder,
    places: [`${folder}/*/bin`],
    home,
    major: undefined,
    signal: new AbortController().signal,
  } as const
  await expect(findServer(options)).rejects.toMatchObject({
    code: 'DATABASE_NOT_FOUND',
    message: 'DATABASE_URL is not set and no PostgreSQL server is installed on the PATH or in the usual places',
  })
})

test('the search for a server skips a program named postgres that is not PostgreSQL, and the error shows its last output', async () => {
  for (const name of ['postgres', 'initdb'])
    await writeFile(join(folder, name), '#!/bin/sh\necho broken library\nexit 127\n', { mode: 0o755 })
  const home = { path: folder, dataDirectory: dataDirectory(), user: undefined }
  const options = {
    choice: 'system',
    path: folder,
    places: [],
    home,
    major: undefined,
    signal: new AbortController().signal,
  } as const
  await expect(findServer(options)).rejects.toMatchObject({
    message: expect.stringContaining(`not usable: ${folder}: broken library`),
  })
})

test('the embedded database refuses an unknown value of EMBEDDED_POSTGRES with CONFIG_INVALID', async () => {
  await expect(start({ env: { EMBEDDED_POSTGRES: 'docker' } })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})

test('the embedded database reports a folder that cannot be created', async () => {
  await writeFile(join(folder, 'file'), '')
  await expect(start({ dataDir: join(folder, 'file/.onedyno') })).rejects.toMatchObject({ code: 'DATABASE_FOLDER_UNUSABLE' })
})
