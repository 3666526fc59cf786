import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { controlPath } from '../../../supervisor/control.ts'

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures', 'supervisor')
const CLI = join(FIXTURES, 'cli.ts')

/** The command of a Procfile that runs a fixture: sh for `.sh`, else this Node. */
export const fixture = (name: string, ...args: (string | number)[]): string =>
  [name.endsWith('.sh') ? 'sh' : process.execPath, join(FIXTURES, name), ...args].join(' ')

export interface Launched {
  readonly child: ChildProcess
  readonly pid: number
  /** The output so far. */
  readonly stdout: () => string
  readonly stderr: () => string
  readonly bytes: () => Buffer
  /** Resolves with the match as soon as the output matches. Rejects if the command ends first. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>
  /** Resolves when the command ended and its output is complete; `code` is 128 + n for a death by signal. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Ids of the running processes of this project, the supervisor included. */
  survivors(): number[]
}

export interface Project {
  readonly dir: string
  path(name: string): string
  launch(argv: string[], options?: LaunchOptions): Launched
  survivors(): number[]
}

export interface LaunchOptions {
  readonly env?: Record<string, string>
  /** Words before the arguments, such as `script -qec`. Default: this Node and the command line of the supervisor. */
  readonly command?: string[]
  readonly stdin?: 'ignore' | 'pipe'
}

/** Creates a folder with these files. After the test, the folder and all processes that were started in it are removed. */
export function createProject(files: Record<string, string> = {}): Project {
  const dir = mkdtempSync(join(tmpdir(), 'supervisor-test-'))
  const mark = `SUPERVISOR_TEST=${randomUUID()}`
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text)
  const survivors = () => marked(mark)
  onTestFinished(() => {
    for (const pid of survivors()) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {}
    }
    // The watchdog was killed too, so it cannot delete the socket.
    rmSync(controlPath(dir), { force: true })
    rmSync(dir, { recursive: true, force: true })
  })
  return {
    dir,
    path: (name) => join(dir, name),
    survivors,
    launch: (argv, options = {}) => launch(dir, mark, argv, options, survivors),
  }
}

export const supervisorCommand = [process.execPath, '--disable-warning=ExperimentalWarning', CLI]

function launch(dir: string, mark: string, argv: string[], options: LaunchOptions, survivors: () => number[]): Launched {
  const [file, ...before] = options.command ?? supervisorCommand
  const [name, value] = mark.split('=') as [string, string]
  const { PATH = '', HOME = '/', TMPDIR } = process.env
  const env = { PATH, HOME, ...(TMPDIR !== undefined && { TMPDIR }), [name]: value, ...options.env }
  const child = spawn(file!, [...before, ...argv], { cwd: dir, env, stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'] })
  const chunks: Buffer[] = []
  let errors = ''
  let closed = false
  const watchers = new Set<() => void>()
  const changed = () => {
    for (const watcher of watchers) watcher()
  }
  child.stdout!.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    changed()
  })
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors += text
    changed()
  })
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => {
      closed = true
      changed()
      resolve({ code, signal })
    })
  })
  const bytes = () => Buffer.concat(chunks)
  const stdout = () => bytes().toString()
  return {
    child,
    pid: child.pid!,
    stdout,
    stderr: () => errors,
    bytes,
    ended,
    survivors,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(stdout() + errors)
          if (match === null && !closed) return
          watchers.delete(look)
          if (match === null) reject(new Error(`no ${pattern} in:\n${stdout()}${errors}`))
          else resolve(match)
        }
        watchers.add(look)
        look()
      }),
  }
}

/** Ids of the processes whose environment has the mark. Zombies have no environment. */
function marked(mark: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark)
      } catch {
        return false
      }
    })
    .map(Number)
}

/** Polls until `condition` is true. For facts without an event, such as the death of another process. */
export async function until(condition: () => boolean, ms = 5_000): Promise<void> {
  for (const end = Date.now() + ms; !condition(); ) {
    if (Date.now() > end) throw new Error(`condition is not true after ${ms} ms: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
