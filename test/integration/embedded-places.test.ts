import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, readdir, readFile, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { databaseUrl } from '../../src/embedded/address.ts'
import { findNative, linkLibraries, prepareBundled } from '../../src/embedded/bundled-server.ts'
import { type Embedded, startEmbedded } from '../../src/embedded/embedded.ts'
import { parsePasswd, type ServerUser } from '../../src/embedded/server-user.ts'
import { forkOwner, type Owner, openTemporaryFolder, query, removeTemporaryFolder } from '../support/embedded-owner.ts'

const run = promisify(execFile)
const isRoot = process.geteuid?.() === 0
const native = findNative()
const nobody = isRoot ? parsePasswd(await readFile('/etc/passwd', 'utf8')).find(({ name }) => name === 'nobody') : undefined

let folder: string
let notes: { message: string; [field: string]: unknown }[]
let databases: Embedded[]
let owners: Owner[]

beforeEach(async () => {
  folder = await openTemporaryFolder()
  notes = []
  databases = []
  owners = []
})

afterEach(async () => {
  for (const database of databases) await database.stop()
  for (const owner of owners) if (owner.process.connected) await owner.kill('SIGTERM')
  for (const { message, path } of notes) if (message === 'database is outside the project') await removeElsewhere(String(path))
  expect(await removeTemporaryFolder(folder)).toEqual([])
})

async function start(dataDir: string, env: NodeJS.ProcessEnv = {}): Promise<Embedded> {
  const database = await startEmbedded({
    dataDir,
    env: { ...process.env, ...env },
    signal: new AbortController().signal,
    log: () => {},
    note: (message, fields) => notes.push({ message, ...fields }),
  })
  databases.push(database)
  return database
}

function own(...parameters: Parameters<typeof forkOwner>): Owner {
  const owner = forkOwner(...parameters)
  owners.push(owner)
  return owner
}

async function removeElsewhere(path: string): Promise<void> {
  await rm(path, { recursive: true })
  await rmdir(dirname(path)).catch(() => {}) // not empty: it has another project
}

const one = async (url: string) => (await query(url, 'SELECT 1 AS one')).rows[0]?.one

test('the embedded database starts in a folder whose path is too long for a socket', async () => {
  const { url } = await start(join(folder, 'a'.repeat(60), 'b'.repeat(60), '.onedyno'))
  expect(url).toMatch(/\?host=\/tmp\/onedyno-run-[0-9a-f]{16}&port=5432$/)
  expect(await one(url)).toBe(1)
  const directory = /host=([^&]*)/.exec(url)?.[1] ?? ''
  await databases[0]?.stop()
  expect(existsSync(directory)).toBe(false)
})

test('the embedded database starts in a folder with special characters in its name', async () => {
  const name = `it's, "süß" 100%2F + $HOME;#&?`
  const { url } = await start(join(folder, name, '.onedyno'))
  expect(await one(url)).toBe(1)
  expect((await run('psql', [url, '-Atc', 'SELECT 1']).catch(() => ({ stdout: 'no psql here' }))).stdout).toMatch(
    /^(1\n|no psql here)$/,
  )
})

test('the URL of the embedded database shows the path of its folder in a readable form', () => {
  const url = databaseUrl({ kind: 'socket', directory: '/srv/my app/run', port: 5432 })
  expect(url).toBe('postgresql://onedyno@/onedyno?host=/srv/my%20app/run&port=5432')
})

describe.runIf(isRoot)('the embedded database, started as root,', () => {
  test('keeps its data outside a project that is below a 0700 folder, finds the data again and changes no permissions', async () => {
    await mkdir(join(folder, 'home/app'), { recursive: true })
    await chmod(join(folder, 'home'), 0o700)
    const dataDir = join(folder, 'home/app/.onedyno')
    const first = await start(dataDir)
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS n')
    await first.stop()
    expect((await stat(join(folder, 'home'))).mode & 0o777).toBe(0o700)
    const { home } = JSON.parse(await readFile(join(dataDir, 'location.json'), 'utf8'))
    expect(notes).toContainEqual({
      message: 'database is outside the project',
      path: home,
      reason: expect.stringContaining('cannot use'),
    })
    expect((await stat(join(home, 'postgres'))).uid).not.toBe(0)
    const second = await start(dataDir)
    expect((await query(second.url, 'SELECT n FROM kept')).rows).toEqual([{ n: 42 }])
  })

  test('makes a separate database for a copy of a project below a 0700 folder', async () => {
    await mkdir(join(folder, 'home/app'), { recursive: true })
    await chmod(join(folder, 'home'), 0o700)
    const original = await start(join(folder, 'home/app/.onedyno'))
    await cp(join(folder, 'home/app'), join(folder, 'home/copy'), {
      recursive: true,
      filter: (path) => !path.endsWith('owner.lock'),
    })
    const copy = await start(join(folder, 'home/copy/.onedyno'))
    expect(copy.url).not.toBe(original.url)
    expect(await one(original.url)).toBe(1)
  })

  test('refuses data whose user can no longer reach the folder, and does not replace the data', async () => {
    await mkdir(join(folder, 'app'))
    await (await start(join(folder, 'app/.onedyno'))).stop()
    await chmod(join(folder, 'app'), 0o700)
    await expect(start(join(folder, 'app/.onedyno'))).rejects.toMatchObject({
      code: 'DATABASE_FOLDER_UNUSABLE',
      message: expect.stringContaining('cannot enter'),
    })
  })

  test('starts although the umask is restrictive', async () => {
    await mkdir(join(folder, 'app'))
    const owner = own(join(folder, 'app/.onedyno'), { execArgv: ['--import', 'data:text/javascript,process.umask(0o077)'] })
    const { url } = await owner.started()
    expect(url).toContain('/.onedyno/run')
    await owner.kill('SIGTERM')
  })

  test('is refused to another user if its data belongs to root', async () => {
    await (await start(join(folder, '.onedyno'))).stop()
    await chmod(join(folder, '.onedyno'), 0o777)
    const owner = own(join(folder, '.onedyno'), { uid: nobody?.uid ?? 0, gid: nobody?.gid ?? 0 })
    expect(await owner.hears('failed')).toMatchObject({
      code: 'DATABASE_FOLDER_UNUSABLE',
      message: expect.stringContaining('belongs to user'),
    })
  })

  test('keeps the data of an ordinary user in .onedyno and runs its server as this user', async () => {
    await chmod(folder, 0o777)
    const owner = own(join(folder, '.onedyno'), { uid: nobody?.uid ?? 0, gid: nobody?.gid ?? 0 })
    const { url } = await owner.started()
    expect((await stat(join(folder, '.onedyno/postgres'))).uid).toBe(nobody?.uid)
    expect(await one(url)).toBe(1)
    await owner.kill('SIGTERM')
  })

  test('reports a folder in which an ordinary user cannot write', async () => {
    const owner = own(join(folder, '.onedyno'), { uid: nobody?.uid ?? 0, gid: nobody?.gid ?? 0 })
    expect(await owner.hears('failed')).toMatchObject({
      code: 'DATABASE_FOLDER_UNUSABLE',
      message: expect.stringContaining('EACCES'),
    })
  })
})

describe.runIf(native !== undefined)('the bundled PostgreSQL', () => {
  const bundled = { EMBEDDED_POSTGRES: 'bundled' }

  test('makes a database, opens it again, and is used for its data although another server is installed', async () => {
    const first = await start(join(folder, '.onedyno'), bundled)
    expect((await query(first.url, 'SHOW server_version_num')).rows[0]?.server_version_num).toMatch(/^18/)
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS n')
    await first.stop()
    const second = await start(join(folder, '.onedyno'))
    expect((await query(second.url, 'SELECT n FROM kept')).rows).toEqual([{ n: 42 }])
    expect(notes.filter(({ message }) => message === 'database server ready')).toMatchObject([
      { server: 'bundled' },
      { version: expect.stringMatching(/^18/) },
    ])
  })

  test('gets its missing library links after npm --ignore-scripts', async () => {
    const unlinked = await packageWithoutLinks(join(folder, 'package'))
    const binary = join(unlinked, 'bin/initdb')
    await expect(run(binary, ['--version'])).rejects.toThrow('cannot open shared object file')
    expect(await linkLibraries(unlinked)).toBe(true)
    expect((await run(binary, ['--version'])).stdout).toContain('(PostgreSQL) 18')
    expect(await linkLibraries(unlinked)).toBe(true)
  })

  test.runIf(nobody !== undefined)(
    'is copied once, with its library links, if the user of the server cannot enter node_modules',
    async () => {
      await mkdir(join(folder, 'closed'), { mode: 0o700 })
      const unlinked = await packageWithoutLinks(join(folder, 'closed/package'))
      const home = { path: folder, dataDirectory: join(folder, 'postgres'), user: nobody as ServerUser }
      const bin = await prepareBundled(unlinked, home)
      expect(bin).toMatch(new RegExp(`^${folder}/postgresql-18[^/]*/bin$`))
      const { stdout } = await run(join(bin, 'initdb'), ['--version'], { uid: nobody?.uid, gid: nobody?.gid, cwd: '/' })
      expect(stdout).toContain('(PostgreSQL) 18')
      const { ino } = await stat(join(bin, 'postgres'))
      expect(await prepareBundled(unlinked, home)).toBe(bin)
      expect((await stat(join(bin, 'postgres'))).ino).toBe(ino)
      expect((await readdir(folder)).filter((name) => name.startsWith('draft-'))).toEqual([])
    },
  )
})

/** A copy as npm unpacks it: the same files without the symlinks that the install script makes. */
async function packageWithoutLinks(path: string): Promise<string> {
  const source = dirname(native ?? '')
  await mkdir(path, { recursive: true })
  await cp(join(source, 'package.json'), join(path, 'package.json'))
  const { stdout } = await run('find', [join(source, 'native'), '-type', 'l'])
  const links = new Set(stdout.split('\n'))
  await cp(join(source, 'native'), join(path, 'native'), { recursive: true, filter: (file) => !links.has(file) })
  return join(path, 'native')
}
