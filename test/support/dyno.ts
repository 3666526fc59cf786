import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './until.ts'

const root = join(import.meta.dirname, '../..')

export interface Dyno {
  readonly url: string
  readonly pid: number
  /** Returns everything that the process printed. */
  output(): string
  /** Resolves with the exit status (128 + n after signal n). */
  readonly exited: Promise<number>
  signal(name: NodeJS.Signals): void
  /** Pids of the supervisor and of all its descendants, in any process group. */
  processes(): Promise<number[]>
}

/** Creates a folder from which Procfile.real runs the built package. `remove` deletes it. */
export async function createDynoFolder(): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'onedyno-e2e-'))
  // If tests run as root, the database server runs as another user, who needs access to the folder.
  await chmod(folder, 0o755)
  await symlink(join(root, 'dist'), join(folder, 'dist'))
  await copyFile(join(root, 'Procfile.real'), join(folder, 'Procfile.real'))
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Starts `onedyno start` as the Procfile does. `env` is added to a clean environment. */
export async function startDyno(folder: string, env: Record<string, string> = {}, args: readonly string[] = []): Promise<Dyno> {
  const port = await freePort()
  const { PATH = '', HOME = '' } = process.env
  const command = [
    join(root, 'dist/src/main.js'),
    'start',
    '-f',
    'Procfile.real',
    '--restart',
    'web=on-failure,worker=always,beat=always',
    ...args,
  ]
  const child = spawn(process.execPath, command, {
    cwd: folder,
    env: { PATH, HOME, PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  const collect = (chunk: Buffer) => {
    output += chunk
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    output: () => output,
    exited: exitOf(child),
    signal: (name) => void child.kill(name),
    processes: () => descendants(child.pid ?? 0),
  }
}

/** Waits until the web page answers. */
export async function untilFormAnswers(dyno: Dyno, timeoutMs = 30_000): Promise<void> {
  const answers = async () => (await fetch(`${dyno.url}/`).catch(() => undefined))?.status === 200
  await until('the form answers', answers, timeoutMs).catch((error) => {
    throw new Error(`${error.message}; printed:\n${dyno.output()}`)
  })
}

/** Posts the form and follows the redirect to its page. */
export async function postForm(
  dyno: Dyno,
  fields: { task: string; args: string; schedule?: string },
): Promise<{ path: string; page: string }> {
  const response = await fetch(`${dyno.url}/`, {
    method: 'POST',
    body: new URLSearchParams({ schedule: '', ...fields }),
    redirect: 'manual',
  })
  const path = response.headers.get('location') ?? ''
  if (response.status !== 303) throw new Error(`the form answered ${response.status}: ${await response.text()}`)
  return { path, page: await (await fetch(`${dyno.url}${path}`)).text() }
}

/** Pids of the running descendants of `pid`, read from /proc. Includes processes that changed their process group. */
export async function descendants(pid: number): Promise<number[]> {
  const parents = new Map<number, number>()
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] !== 'Z' && fields[1] !== undefined) parents.set(Number(entry), Number(fields[1]))
  }
  const found = new Set(parents.has(pid) ? [pid] : [])
  for (let grown = true; grown; ) {
    grown = false
    for (const [child, parent] of parents) {
      if (found.has(parent) && !found.has(child)) {
        found.add(child)
        grown = true
      }
    }
  }
  return [...found]
}

/** The pids that still run. Zombies are left out. */
export async function alive(pids: readonly number[]): Promise<number[]> {
  const states = await Promise.all(
    pids.map(async (pid) => [pid, await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')] as const),
  )
  return states.filter(([, stat]) => stat !== '' && stat[stat.lastIndexOf(')') + 2] !== 'Z').map(([pid]) => pid)
}

async function exitOf(child: ChildProcess): Promise<number> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
