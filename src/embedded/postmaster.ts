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

/** How a server ended. It is unknown for an adopted server, which is not a child of this process. */
export type Exit = { readonly code: number } | { readonly signal: NodeJS.Signals } | { readonly adopted: true }

/** The main process of a running server, which this process started or adopted. */
export interface Postmaster {
  readonly pid: number
  readonly address: Address
  /** Resolves when the server has ended. Never rejects. */
  readonly exited: Promise<Exit>
  /**
   * Sends a signal to the main process only. SIGINT means fast shutdown; SIGQUIT means immediate shutdown, with recovery at the
   * next start.
   */
  send(signal: StopSignal): Promise<void>
}

type StopSignal = 'SIGINT' | 'SIGQUIT' | 'SIGKILL'

/** Signals, and the milliseconds to wait after each. The last wait is limited too, because a process can hang in the kernel. */
const STOP_STEPS: readonly (readonly [StopSignal, number])[] = [
  ['SIGINT', 5_000],
  ['SIGQUIT', 3_000],
  ['SIGKILL', 3_000],
]

/**
 * Milliseconds to wait for the last output of a server. It is limited, because a backend that outlives the server still holds
 * the pipe.
 */
const LAST_OUTPUT_MS = 500

export interface PostmasterOptions {
  readonly server: Server
  readonly home: Home
  readonly address: Address
  readonly log: ServerLog
}

/**
 * Starts the server; it is not ready yet when the promise resolves. The server has its own session, so that Ctrl-C and a closing
 * terminal do not end it: it must end last, by `send`.
 * @throws AppError DATABASE_START_FAILED if the program cannot be run
 */
export async function spawnPostmaster(options: PostmasterOptions): Promise<Postmaster> {
  const { server, home, address, log } = options
  const settings = Object.entries(serverSettings(server.major, address)).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(join(server.binDirectory, 'postgres'), ['-D', home.dataDirectory, ...settings], {
    cwd: home.dataDirectory, // the server's user may not be able to enter the project's folder
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
  exited.catch(() => {}) // a failed spawn is reported by the next statement
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

/** Adopts a running server. Watches it through a connection, because its exit is reported only to its parent process. */
export function adoptPostmaster(
  pid: number,
  address: Address,
  { home, server, log }: Omit<PostmasterOptions, 'address'>,
): Postmaster {
  const isAlive = () => isPostgresOf(pid, home.dataDirectory)
  const watch = async (): Promise<Exit> => {
    while (await isAlive()) {
      await untilDisconnected(address)
      // Polls: a server that stops does so within milliseconds, without an event. If it does not, it restarts after a crash of a
      // backend.
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
 * Stops the server by fast shutdown, then immediate shutdown, then SIGKILL, each with its own time limit. Resolves when the
 * process has ended.
 * @throws Error if the process does not end after SIGKILL
 */
export async function stopPostmaster(postmaster: Postmaster): Promise<void> {
  for (const [signal, graceMs] of STOP_STEPS) {
    await postmaster.send(signal)
    if (await waitAtMost(postmaster.exited, graceMs)) return
  }
  throw new Error(`PostgreSQL, process ${postmaster.pid}, did not end after SIGKILL`)
}

/** Windows has no signals: pg_ctl sends the request to the server through a named pipe. */
async function stopOnWindows(signal: StopSignal, { server, home }: PostmasterOptions): Promise<void> {
  const mode = signal === 'SIGINT' ? 'fast' : 'immediate'
  await runProgram(join(server.binDirectory, 'pg_ctl'), ['stop', '-W', '-D', home.dataDirectory, '-m', mode], {
    cwd: home.path,
    user: undefined,
  })
}
