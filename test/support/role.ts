import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { until } from './until.ts'

const root = join(import.meta.dirname, '../..')

export interface RoleProcess {
  readonly pid: number
  output(): string
  readonly exited: Promise<number | null>
  kill(signal: NodeJS.Signals): void
}

/**
 * Starts a role as a Procfile does. Resolves when the role logs that it is ready. `main` `src/main.ts` runs the unbuilt sources;
 * `through` is a program with its arguments that executes the role, such as `nsenter`.
 */
export async function startRole(
  role: 'web' | 'worker' | 'beat',
  env: Record<string, string>,
  args: readonly string[] = [],
  {
    ready = / ready |web listens/,
    main = 'dist/src/main.js',
    through = [],
  }: { ready?: RegExp; main?: string; through?: readonly string[] } = {},
): Promise<RoleProcess> {
  const { PATH = '', HOME = '' } = process.env
  const [program = process.execPath, ...before] = [...through, process.execPath]
  const child = spawn(program, [...before, join(root, main), role, ...args], {
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const collect = (chunk: Buffer) => {
    output += chunk
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  let ended = false
  const exited = once(child, 'close').then(([code]) => {
    ended = true
    return code as number | null
  })
  await until(`${role} ready`, () => ready.test(output) || ended)
  if (ended && !ready.test(output)) throw new Error(`${role} ended: ${output}`)
  return { pid: child.pid ?? 0, output: () => output, exited, kill: (signal) => void child.kill(signal) }
}
