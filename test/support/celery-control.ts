import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const PYTHON = '/usr/bin/python3'
const FOLDER = join(import.meta.dirname, '../fixtures/celery')

export interface CeleryCommand {
  readonly code: number
  readonly output: string
}

/** Runs Celery's command line: `celery inspect`, `control`, `status`, `events`. */
export interface CeleryCli {
  run(...args: string[]): Promise<CeleryCommand>
  /** Runs `celery inspect … --json` or `celery control … --json`. Resolves with the answers by worker. */
  ask(kind: 'inspect' | 'control', ...args: string[]): Promise<Record<string, unknown>>
  /** Starts `celery events --dump`. `output()` returns what it printed. */
  dump(): { output(): string }
  close(): Promise<void>
}

/** `global` has options that precede the command, such as `-b URL`. */
export function createCeleryCli(global: readonly string[], env: Record<string, string> = {}): CeleryCli {
  const children: ChildProcess[] = []
  const { PATH = '', HOME = '' } = process.env
  const options = { cwd: FOLDER, env: { PATH, HOME, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1', ...env } }
  const run = (...args: string[]) =>
    new Promise<CeleryCommand>((resolve) => {
      execFile(PYTHON, ['-m', 'celery', ...global, ...args], options, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` })
      })
    })
  return {
    run,
    async ask(kind, ...args) {
      const { output } = await run('--quiet', kind, '--timeout', '2', '--json', ...args)
      const line = output.split('\n').find((each) => /^[[{]/.test(each))
      if (line === undefined) throw new Error(`no answer: ${output}`)
      const answers = JSON.parse(line) as Record<string, unknown> | Record<string, unknown>[]
      return Array.isArray(answers) ? Object.assign({}, ...answers) : answers
    },
    dump() {
      const child = spawn(PYTHON, ['-m', 'celery', ...global, 'events', '--dump'], {
        ...options,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      children.push(child)
      let text = ''
      for (const stream of [child.stdout, child.stderr])
        stream?.on('data', (data: Buffer) => {
          text += data.toString()
        })
      return { output: () => text }
    },
    async close() {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        child.kill('SIGKILL')
        await once(child, 'close')
      }
    },
  }
}
