import { statSync, unlinkSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { LogRing } from './log-ring.ts'
import type { Managed } from './managed.ts'
import { groupMemoryBytes } from './process-group.ts'

/** What a client asks: one line of JSON. The answer is text; for `ps` one ProcessStatus as JSON a line. */
export interface ControlRequest {
  readonly command: 'ps' | 'restart' | 'stop' | 'logs'
  /** Types (`web`) or instances (`web.1`); all when empty. */
  readonly names: readonly string[]
  readonly follow?: boolean
}

export interface ProcessStatus {
  readonly name: string
  readonly state: string
  readonly pid: number | null
  readonly upSeconds: number | null
  readonly restarts: number
  readonly memoryBytes: number | null
}

export interface Controlled {
  readonly processes: () => readonly Managed[]
  readonly logs: LogRing
  readonly timeoutMs: number
  /** Ends the whole run. */
  readonly stopAll: () => void
}

/**
 * Where the supervisor of an app listens. Not in the app's own folder, whose path may be longer than the 107 bytes that a
 * socket's may have (unix(7)); the folder's device and inode stand for its path.
 */
export function controlPath(appRoot: string): string {
  const { dev, ino } = statSync(appRoot)
  return join(tmpdir(), `onedyno-${userInfo().uid}-${dev.toString(36)}-${ino.toString(36)}.sock`)
}

export interface Control {
  /** Listens no more; who follows gets what is on its way. */
  close(): void
}

/**
 * Serves `ps`, `restart`, `stop` and `logs` on a socket that only this user may open. A socket left by a dead supervisor is
 * replaced; undefined when a living one has it, or the place cannot be written to.
 */
export async function serveControl(path: string, controlled: Controlled): Promise<Control | undefined> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    answer(socket, controlled)
  })
  const close = () => {
    server.close()
    for (const socket of sockets) socket.end().unref()
  }
  for (let tries = 0; tries < 2; tries += 1) {
    const code = await listen(server, path)
    if (code === undefined) return { close }
    if (code !== 'EADDRINUSE' || (await isAnswered(path))) return undefined
    try {
      unlinkSync(path)
    } catch {
      return undefined
    }
  }
  return undefined
}

function listen(server: Server, path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'EIO'))
    server.once('listening', () => resolve(undefined))
    // bind(2) happens within this call: at no moment may another user connect.
    const umask = process.umask(0o177)
    server.listen(path)
    process.umask(umask)
  })
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path, () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

function answer(socket: Socket, controlled: Controlled): void {
  let text = ''
  socket.setEncoding('utf8').on('error', () => socket.destroy())
  socket.on('data', (chunk: string) => {
    text += chunk
    if (text.length > MOST_BEHIND) socket.destroy()
    if (!text.includes('\n')) return
    socket.removeAllListeners('data').resume()
    try {
      serve(socket, JSON.parse(text) as ControlRequest, controlled)
    } catch (error) {
      socket.end(`error: ${(error as Error).message}\n`)
    }
  })
}

function serve(socket: Socket, { command, names, follow }: ControlRequest, controlled: Controlled): void {
  const isWanted = (name: string) =>
    names.length === 0 || names.some((wanted) => name === wanted || name.split('.')[0] === wanted)
  const processes = controlled.processes().filter((each) => isWanted(each.name))
  if (processes.length === 0 && names.length > 0) {
    return void socket.end(
      `error: no process ${names.join(', ')}; there are ${controlled
        .processes()
        .map((each) => each.name)
        .join(', ')}\n`,
    )
  }
  const killAtMs = Date.now() + controlled.timeoutMs
  switch (command) {
    case 'ps':
      return void socket.end(processes.map((each) => `${JSON.stringify(statusOf(each))}\n`).join(''))
    case 'restart':
      for (const each of processes) each.restart(killAtMs)
      return void socket.end(processes.map((each) => `restarting ${each.name}\n`).join(''))
    case 'stop':
      if (names.length === 0) controlled.stopAll()
      else for (const each of processes) each.halt(killAtMs)
      return void socket.end(processes.map((each) => `stopping ${each.name}\n`).join(''))
    case 'logs':
      sendLogs(socket, controlled.logs, isWanted, follow === true)
      return
    default:
      socket.end(`error: unknown command ${JSON.stringify(command satisfies never)}\n`)
  }
}

/** A follower that does not read must not cost memory: past this many bytes it is let go. */
const MOST_BEHIND = 4 << 20

function sendLogs(socket: Socket, logs: LogRing, isWanted: (name: string) => boolean, follow: boolean): void {
  socket.write(logs.read(isWanted), 'latin1')
  if (!follow) return void socket.end()
  const unfollow = logs.follow((name, block) => {
    if (socket.writableLength > MOST_BEHIND) socket.destroy()
    else if (isWanted(name)) socket.write(block)
  })
  socket.once('close', unfollow)
}

function statusOf({ name, state, restarts }: Managed): ProcessStatus {
  const pid = 'pid' in state ? state.pid : null
  const upSeconds = state.tag === 'running' ? Math.round((Date.now() - state.sinceMs) / 1000) : null
  return { name, state: state.tag, pid, upSeconds, restarts, memoryBytes: pid === null ? null : groupMemoryBytes(pid) }
}
