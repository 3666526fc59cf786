import { statSync, unlinkSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isNamed } from './formation.ts'
import type { LogRing } from './log-ring.ts'
import { groupMemoryBytes } from './process-group.ts'
import type { Slot } from './slot.ts'
import type { StopCause } from './stop-sequence.ts'

/**
 * A request to a supervisor, sent as one line of JSON. The answer is "+" and text for a person, or "-" and the reason of the
 * refusal.
 */
export interface ControlRequest {
  readonly command: 'ps' | 'restart' | 'stop' | 'logs'
  /** Types (`web`) or instances (`web.1`) that the request concerns. Empty: all instances. */
  readonly names: readonly string[]
  readonly follow: boolean
}

/** The part of a run that clients can reach. */
export interface Controlled {
  readonly logs: LogRing
  readonly timeoutMs: number
  readonly stopping: AbortSignal
  slots(): readonly Slot[]
  stop(cause: StopCause): void
}

export interface Control {
  /** Stops listening. Clients of `logs --follow` still receive the bytes that are queued for them. */
  close(): void
}

/**
 * A client of `logs --follow` with more queued bytes than this is disconnected, because it does not read and would fill the
 * memory.
 */
const MOST_QUEUED_BYTES = 4 << 20

/**
 * Returns the path of the socket for an app. The socket is in the temporary folder, because a path in the app's folder may
 * exceed the 107 bytes that unix(7) allows. Device and inode of the app's folder identify the app.
 */
export function controlPath(appRoot: string): string {
  const { dev, ino } = statSync(appRoot)
  return join(tmpdir(), `onedyno-${ownUid()}-${dev.toString(36)}-${ino.toString(36)}.sock`)
}

/** Returns the user id. Does not use userInfo(), which throws if the user id has no name, as in many containers. */
export const ownUid = (): number => process.geteuid?.() ?? 0

/**
 * Serves `ps`, `restart`, `stop` and `logs` on a socket that only this user may open. Replaces the socket of a dead
 * supervisor. Returns undefined if a running supervisor has the socket or the folder is not writable.
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
  let code = await listen(server, path)
  if (code === 'EADDRINUSE' && !(await isAnswered(path))) {
    try {
      unlinkSync(path)
      code = await listen(server, path)
    } catch {
      // The socket belongs to another user, in a folder that all users may write to.
    }
  }
  return code === undefined ? { close } : undefined
}

/** Resolves with the error code, or with undefined on success. */
function listen(server: Server, path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'EIO'))
    server.once('listening', () => resolve(undefined))
    // listen() calls bind(2) before it returns, so the umask applies when the socket is created, and no other user can ever
    // connect.
    const umask = process.umask(0o177)
    server.listen(path)
    process.umask(umask)
  })
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function answer(socket: Socket, controlled: Controlled): void {
  let text = ''
  socket.setEncoding('utf8').on('error', () => socket.destroy())
  socket.on('data', (chunk: string) => {
    text += chunk
    if (text.length > MOST_QUEUED_BYTES) socket.destroy()
    if (!text.includes('\n')) return
    socket.removeAllListeners('data').resume()
    try {
      serve(socket, JSON.parse(text) as ControlRequest, controlled)
    } catch (error) {
      socket.end(`-${(error as Error).message}`)
    }
  })
}

function serve(socket: Socket, { command, names, follow }: ControlRequest, controlled: Controlled): void {
  const isWanted = (name: string) => names.length === 0 || isNamed(name, names)
  const all = controlled.slots()
  const slots = all.filter((slot) => isWanted(slot.name))
  const known = new Set([...all.map((slot) => slot.name), ...(command === 'logs' ? controlled.logs.names() : [])])
  const unknown = names.filter((name) => ![...known].some((each) => isNamed(each, [name])))
  if (unknown.length > 0) throw new Error(`no process ${unknown.join(', ')}; the processes are ${[...known].join(', ')}`)
  if (command === 'restart' && controlled.stopping.aborted) throw new Error('the run is stopping')
  socket.write('+')
  const say = (what: string) => socket.end(slots.map((slot) => `${what} ${slot.name}\n`).join(''))
  const killAtMs = Date.now() + controlled.timeoutMs
  switch (command) {
    case 'ps':
      return void socket.end(showTable(slots))
    case 'restart':
      for (const slot of slots) slot.restart(killAtMs)
      return void say('restarting')
    case 'stop':
      if (names.length === 0) controlled.stop({ tag: 'signal', signal: 'SIGTERM' })
      else for (const slot of slots) slot.halt(killAtMs)
      return void say('stopping')
    case 'logs':
      return void sendLogs(socket, controlled.logs, isWanted, follow)
    default:
      throw new Error(`unknown command ${JSON.stringify(command satisfies never)}`)
  }
}

function sendLogs(socket: Socket, logs: LogRing, isWanted: (name: string) => boolean, follow: boolean): void {
  socket.write(logs.read(isWanted), 'latin1')
  if (!follow) return void socket.end()
  const unfollow = logs.follow((name, block) => {
    if (socket.writableLength > MOST_QUEUED_BYTES) socket.destroy()
    else if (isWanted(name)) socket.write(block)
  })
  socket.once('close', unfollow)
}

function showTable(slots: readonly Slot[]): string {
  const rows = slots.map(({ name, state, restarts }) => {
    const pid = 'pid' in state ? state.pid : undefined
    const up = state.tag === 'running' ? duration(Math.round((Date.now() - state.sinceMs) / 1000)) : '-'
    const memory = pid === undefined ? '-' : `${(groupMemoryBytes(pid) / 1e6).toFixed(1)} MB`
    return [name, state.tag, String(pid ?? '-'), up, String(restarts), memory]
  })
  const all = [['PROCESS', 'STATE', 'PID', 'UP', 'RESTARTS', 'MEMORY'], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const lines = all.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  '))
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${seconds % 60}s`
  return `${Math.floor(seconds / 3_600)}h${Math.floor((seconds % 3_600) / 60)}m`
}
