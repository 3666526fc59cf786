import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, globSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { USUAL_PLACES } from '../../src/embedded/find-server.ts'
import { PROGRAM_ENV, runProgram } from '../../src/embedded/run-program.ts'
import { asUser, chooseServerUser, type ServerUser } from '../../src/embedded/server-user.ts'
import { query } from './database.ts'
import { freePort } from './dyno.ts'
import { until } from './until.ts'

/** The programs of an installed PostgreSQL. undefined: none is installed, and tests with a server of their own are skipped. */
export const postgresPrograms: string | undefined = globSync([...USUAL_PLACES]).find((folder) =>
  existsSync(join(folder, 'initdb')),
)

export interface OwnPostgres {
  readonly url: string
  /** The same server by its Unix socket, which does not depend on the network. */
  readonly socketUrl: string
  /** Stops the server in order and starts it as a standby without a primary, which answers queries and refuses writes. */
  becomeStandby(): Promise<void>
  promote(): Promise<void>
  /** Ends the server and removes its data. */
  close(): Promise<void>
}

export interface OwnPostgresOptions {
  /** Default: 127.0.0.1 */
  readonly listenAddress?: string
  /** A program with its arguments that executes the server, such as `nsenter`. */
  readonly through?: readonly string[]
}

/** Starts an empty server that a test can demote and promote. User `postgres`, no password. */
export async function startOwnPostgres({
  listenAddress = '127.0.0.1',
  through = [],
}: OwnPostgresOptions = {}): Promise<OwnPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'onedyno-own-postgres-'))
  const data = join(folder, 'data')
  const user = await chooseServerUser(data)
  await mkdir(data, { mode: 0o700 })
  if (user !== undefined) for (const path of [folder, data]) chownSync(path, user.uid, user.gid)
  const program = (name: string) => join(postgresPrograms ?? '', name)
  const made = await runProgram(program('initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync'], {
    cwd: folder,
    user,
  })
  if (made.code !== 0) throw new Error(`initdb: ${made.output}`)
  if (listenAddress !== '127.0.0.1') await appendFile(join(data, 'pg_hba.conf'), 'host all all all trust\n')
  const port = await freePort()
  const socketUrl = `postgresql://postgres@/postgres?host=${folder}&port=${port}`
  const url = `postgresql://postgres@${listenAddress}:${port}/postgres`
  let server: ChildProcess | undefined

  const start = async () => {
    const settings = [`listen_addresses=${listenAddress}`, `unix_socket_directories=${folder}`, 'wal_level=replica', 'fsync=off']
    const args = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])]
    const [file = '', ...before] = [...through, ...(through.length > 0 ? asUserByName(user) : []), program('postgres')]
    server = spawn(file, [...before, ...args], {
      cwd: folder,
      env: PROGRAM_ENV,
      stdio: 'ignore',
      ...(through.length > 0 ? {} : asUser(user)),
    })
    const answers = () => query(socketUrl, 'SELECT 1').catch(() => undefined)
    await until('the server answers', answers)
  }
  const stop = async () => {
    const ended = server === undefined || server.exitCode !== null ? undefined : once(server, 'exit')
    // SIGINT is the fast shutdown (PostgreSQL 18, section 18.5).
    server?.kill('SIGINT')
    await ended
  }
  await start()
  return {
    url,
    socketUrl,
    async becomeStandby() {
      await stop()
      await writeFile(join(data, 'standby.signal'), '')
      await start()
    },
    promote: async () => void (await query(socketUrl, 'SELECT pg_promote()')),
    async close() {
      await stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A program that enters a network namespace needs root, so the server's user comes after it (util-linux, setpriv(1)). */
const asUserByName = (user: ServerUser | undefined) =>
  user === undefined ? [] : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
