import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { root } from './import-graph.ts'

export interface CommandEnd {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one `onedyno` command from the sources, with only `env` as its environment and without a terminal. */
export function runCommand(env: Readonly<Record<string, string>>, ...args: string[]): Promise<CommandEnd> {
  const { PATH = '', HOME = '' } = process.env
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(root, 'src/main.ts'), ...args],
      { cwd: root, env: { PATH, HOME, ...env } },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    )
    child.stdin?.end()
  })
}
