import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { asUser, type ServerUser } from './server-user.ts'

/**
 * PostgreSQL's programs do not get the application's environment: PG* variables would change their behaviour, and logs or
 * extensions could show secrets. `TZ` saves initdb the search for the machine's time zone.
 */
export const PROGRAM_ENV: Readonly<Record<string, string>> = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

const MOST_OUTPUT = 16 * 1024

interface ProgramOptions {
  readonly cwd: string
  readonly user: ServerUser | undefined
  /** When it aborts, the program and its children are killed. */
  readonly signal?: AbortSignal
}

/**
 * Runs one of PostgreSQL's programs until it ends. It has its own process group, so that Ctrl-C does not reach it and its
 * children end with it. `code` is undefined if a signal ended it; `output` is the end of its output.
 * @throws the error of spawn (ENOENT, EACCES); the signal's reason if it aborted
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<{ code: number | undefined; output: string }> {
  options.signal?.throwIfAborted()
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: PROGRAM_ENV,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
    windowsHide: true,
    ...asUser(options.user),
  })
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-MOST_OUTPUT)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const kill = () => killGroup(child.pid)
  options.signal?.addEventListener('abort', kill, { once: true })
  try {
    // Waits for 'close' and not for 'exit': a child of the program that still holds the pipes still runs.
    const [code] = (await once(child, 'close')) as [number | null]
    options.signal?.throwIfAborted()
    return { code: code ?? undefined, output }
  } finally {
    options.signal?.removeEventListener('abort', kill)
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
