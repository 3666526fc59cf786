import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { root } from './import-graph.ts'

export interface CommandEnd {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one `onedyno` command from the sources. Its environment has only `env`, and its stdin is empty. */
export const runCommand = (env: Readonly<Record<string, string>>, ...args: string[]): Promise<CommandEnd> =>
  runProgram(env, join(root, 'src/main.ts'), ...args)

/** Runs a program of Node in the same way. */
export function runProgram(env: Readonly<Record<string, string>>, file: string, ...args: string[]): Promise<CommandEnd> {
  const { PATH = '', HOME = '' } = process.env
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [file, ...args],
      { cwd: root, env: { PATH, HOME, ...env } },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    )
    child.stdin?.end()
  })
}
