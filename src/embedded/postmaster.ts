import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import { AppError } from '../errors.ts'
import type { Address } from './address.ts'
import type { Home } from './data-home.ts'
import type { Server } from './find-server.ts'
import { isPostgresOf, sendSignal } from './process-identity.ts'
import { PROGRAM_ENV, runProgram } from './run-program.ts'
import { untilDisconnected } from './server-connection.ts'
import type { ServerLog } from './server-log.ts'
import { serverSettings } from './server-settings.ts'
import { asUser } from './server-user.ts'

/** How a server ended; nothing is known of one that was no child of ours. */
export type Exit = { readonly code: number } | { readonly signal: NodeJS.Signals } | { readonly adopted: true }

/** The main process of a running server, started by us or found running. */
export interface Postmaster {
  readonly pid: number
  readonly address: Address
  /** Never rejects. */
  readonly exited: Promise<Exit>
  /** SIGINT: fast shutdown. SIGQUIT: immediate, recovery at the next start. Only ever sent to that process. */
  send(signal: StopSignal): Promise<void>
}

type StopSignal = 'SIGINT' | 'SIGQUIT' | 'SIGKILL'

/** The last is bounded too, so that a process stuck in the kernel does not hold `onedyno` for ever. */
const STOP_STEPS: readonly (readonly [StopSignal, number])[] = [
  ['SIGINT', 5_000],
  ['SIGQUIT', 3_000],
  ['SIGKILL', 3_000],
]

/** For what a server writes at its end. A backend that outlives a killed server still holds the pipe. */
const LAST_OUTPUT_MS = 500

export interface PostmasterOptions {
  readonly server: Server
  readonly home: Home
  readonly address: Address
  readonly log: ServerLog
}

/**
 * Starts the server; it is not ready yet. Its own session keeps Ctrl-C and a closing terminal from it: it ends after the others, by `send`.
 * @throws AppError DATABASE_START_FAILED when the program cannot be run
 */
export async function spawnPostmaster(options: PostmasterOptions): Promise<Postmaster> {
  const { server, home, address, log } = options
  const settings = Object.entries(serverSettings(server.major, address)).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(join(server.binDirectory, 'postgres'), ['-D', home.dataDirectory, ...settings], {
    cwd: home.dataDirectory, // the project's folder may be closed to the server's user
    env: PROGRAM_ENV,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
    windowsHide: true,
    ...asUser(home.user),
  })
  child.stdout.on('data', log.write)
  child.stderr.on('data', log.write)
  const exited = once(child, 'exit').then(async ([code, signal]): Promise<Exit> => {
    if (child.stderr.readable) await waitAtMost(once(child, 'close'), LAST_OUTPUT_MS)
    return code === null ? { signal } : { code }
  })
  exited.catch(() => {}) // cannot be spawned: told by the next line
  await once(child, 'spawn').catch((cause: Error) => {
    throw new AppError('DATABASE_START_FAILED', `${child.spawnfile} cannot be run: ${cause.message}`, { cause })
  })
  const pid = child.pid as number
  const send = async (signal: StopSignal) => {
    if (process.platform === 'win32' && signal !== 'SIGKILL') await stopOnWindows(signal, options)
    else child.kill(signal)
  }
  return { pid, address, exited, send }
}

/** A server that runs already becomes ours: watched through a connection, since its exit is reported to another process. */
export function adoptPostmaster(
  pid: number,
  address: Address,
  { home, server, log }: Omit<PostmasterOptions, 'address'>,
): Postmaster {
  const isAlive = () => isPostgresOf(pid, home.dataDirectory)
  const watch = async (): Promise<Exit> => {
    while (await isAlive()) {
      await untilDisconnected(address)
      // Ends within milliseconds when it is ending, but nothing tells when; otherwise it is back after the crash of one of its backends.
      await delay(50)
    }
    return { adopted: true }
  }
  const send = async (signal: StopSignal) => {
    if (!(await isAlive())) return
    if (process.platform === 'win32' && signal !== 'SIGKILL') await stopOnWindows(signal, { home, server, address, log })
    else sendSignal(pid, signal)
  }
  return { pid, address, exited: watch(), send }
}

/**
 * Fast shutdown, then immediate, then SIGKILL, each with its time. Resolves when the process is gone.
 * @throws Error when it survives even that
 */
export async function stopPostmaster(postmaster: Postmaster): Promise<void> {
  for (const [signal, graceMs] of STOP_STEPS) {
    await postmaster.send(signal)
    if (await waitAtMost(postmaster.exited, graceMs)) return
  }
  throw new Error(`PostgreSQL, process ${postmaster.pid}, did not end after SIGKILL`)
}

/** Windows has no signals: pg_ctl tells the server through a named pipe. */
async function stopOnWindows(signal: StopSignal, { server, home }: PostmasterOptions): Promise<void> {
  const mode = signal === 'SIGINT' ? 'fast' : 'immediate'
  await runProgram(join(server.binDirectory, 'pg_ctl'), ['stop', '-W', '-D', home.dataDirectory, '-m', mode], {
    cwd: home.path,
    user: undefined,
  })
}
