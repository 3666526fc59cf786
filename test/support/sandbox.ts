import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, dirname, join } from 'node:path'
import { openTemporaryFolder, removeTemporaryFolder } from './embedded-owner.ts'
import { root } from './import-graph.ts'
import { until } from './until.ts'

/** A folder to follow a guide in. This package is installed as `npm install onedyno` does it. */
export interface Sandbox {
  readonly folder: string
  readonly port: number
  write(name: string, text: string): void
  /** Runs a shell block. @returns both streams and the exit status */
  run(script: string): Promise<{ output: string; code: number }>
  /** Starts a command in the background. `said()` returns its output. */
  background(script: string): void
  said(): string
  /** Sends SIGTERM to the background command. @returns its exit status */
  stop(): Promise<number | null>
  /** @returns the pids that had to be killed; none after `stop` */
  remove(): Promise<number[]>
}

export async function createSandbox(): Promise<Sandbox> {
  const folder = await openTemporaryFolder()
  const port = await freePort()
  installPackage(folder)
  const { PATH = '', HOME = '/' } = process.env
  const env = { PATH: `${dirname(process.execPath)}${delimiter}${PATH}`, HOME, PORT: String(port), NO_UPDATE_NOTIFIER: '1' }
  // npx takes half a second more for each command and does not forward signals.
  const adapt = (script: string) => script.replaceAll('npx onedyno', 'node_modules/.bin/onedyno').replaceAll(':5000', `:${port}`)
  let running: ChildProcess | undefined
  let said = ''
  return {
    folder,
    port,
    write: (name, text) => writeFileSync(join(folder, name), text),
    async run(script) {
      const child = spawn('sh', ['-eu', '-c', adapt(script)], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
      let output = ''
      hear(child, (text) => {
        output += text
      })
      const [code] = await once(child, 'close')
      return { output, code }
    },
    background(script) {
      said = ''
      const child = spawn('sh', ['-c', `exec ${adapt(script)}`], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
      hear(child, (text) => {
        said += text
      })
      running = child
    },
    said: () => said,
    async stop() {
      const child = running
      if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null
      const ended = once(child, 'close')
      child.kill('SIGTERM')
      await ended
      return child.exitCode
    },
    remove: () => removeTemporaryFolder(folder),
  }
}

function hear(child: ChildProcess, onText: (text: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', onText)
}

/** Links the package and its command, and makes the command executable, as npm does. */
function installPackage(folder: string): void {
  const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { bin: { onedyno: string } }
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
  symlinkSync(root, join(folder, 'node_modules/onedyno'))
  writeFileSync(
    join(folder, 'node_modules/.bin/onedyno'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(root, bin.onedyno)}' "$@"\n`,
    { mode: 0o755 },
  )
}

/** Waits until the output contains all `lines`, whatever precedes them. */
export async function untilSaid(sandbox: Sandbox, log: string): Promise<void> {
  const lines = log.trimEnd().split('\n').map(withoutTime)
  const missing = () => lines.filter((line) => !heard(sandbox, line))
  await until('the lines of the log', () => missing().length === 0).catch(() => {
    throw new Error(`never said:\n${missing().join('\n')}\n\nsaid instead:\n${sandbox.said()}`)
  })
}

const withoutTime = (line: string) => line.replace(/^\d\d:\d\d:\d\d /, '')

/** … matches any text within the line. */
function heard(sandbox: Sandbox, line: string): boolean {
  const parts = line.replaceAll(':5000', `:${sandbox.port}`).split('…')
  return sandbox
    .said()
    .split('\n')
    .some((said) => holdsInOrder(withoutTime(said), parts))
}

function holdsInOrder(text: string, [first = '', ...parts]: readonly string[]): boolean {
  if (!text.startsWith(first)) return false
  let at = first.length
  for (const part of parts) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at === text.length || parts.at(-1) === ''
}

export const hasProgram = (name: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)))

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
