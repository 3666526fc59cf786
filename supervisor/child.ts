import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Pipe } from './fifo.ts'
import type { Output } from './output.ts'
import { isGroupAlive, send } from './process-group.ts'
import type { Exit } from './process-state.ts'
import { execIfSimple } from './shell.ts'

export interface ChildSpec {
  readonly name: string
  readonly command: string
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Both streams of the child go into it, so their order is kept; undefined falls back to a socket of Node's. */
  readonly pipe: Pipe | undefined
  readonly output: Output
}

/** One process group and the pipe it writes to. */
export type Child = ReturnType<typeof startChild>

/** What the rest of a group gets between the unasked end of its leader and SIGKILL. */
const GROUP_GRACE_MS = 5_000
/** A process that left the group may hold the pipe for ever: how long to read on while it is silent, and in all. */
const QUIET_MS = 1_000
const DRAIN_MS = 5_000

/**
 * HOT: one buffer for all readers, since a chunk is used up before the next read. One byte more than a pipe holds, so that
 * libuv sees a short read and turns to the next child instead of trying this one again.
 */
const chunk = Buffer.allocUnsafeSlow(65_537)

/**
 * Starts `command` by /bin/sh in a session and process group of its own. By node:child_process: importing execa takes
 * 70 ms, which would be most of what the supervisor adds to a dyno's start, and 7 MB that stay.
 */
export function startChild(spec: ChildSpec) {
  const { name, pipe, cwd, env, output } = spec
  const out = pipe?.writeFd ?? 'pipe'
  // stdin is inherited as in Honcho: some watchers (tailwind --watch) end when theirs is closed.
  const shell = spawn('/bin/sh', ['-c', pipe === undefined ? `exec 2>&1\n${spec.command}` : execIfSimple(spec.command)], {
    cwd,
    env,
    detached: true,
    stdio: ['inherit', out, pipe === undefined ? 'ignore' : out],
  })
  if (pipe !== undefined) closeSync(pipe.writeFd)
  const pid = shell.pid ?? 0
  const ending = createEnding(pid, () => {
    socket.destroy()
    source.end()
  })
  const onBytes = (bytes: Buffer, length: number) => {
    source.push(bytes, length)
    ending.gotData()
    return true
  }
  const onread = { buffer: chunk, callback: (length: number, bytes: Uint8Array) => onBytes(bytes as Buffer, length) }
  const socket =
    pipe === undefined
      ? (shell.stdout as Socket).on('data', (bytes: Buffer) => onBytes(bytes, bytes.length))
      : new Socket({ fd: pipe.readFd, readable: true, writable: false, onread })
  const pause = () => {
    ending.paused()
    socket.pause()
  }
  const resume = () => {
    ending.resumed()
    socket.resume()
  }
  const source = output.source(name, { pause, resume })
  socket.on('error', ending.endOfFile).on('close', ending.endOfFile)
  if (output.held) pause()
  else socket.resume()
  shell.once('exit', (code, signal) => ending.exited(signal === null ? { code: code ?? 0 } : { signal }))
  shell.once('error', (error) => {
    output.say({ tag: 'note', text: `${name} cannot be started in ${cwd}: ${error.message}` })
    ending.exited({ code: 127 })
  })
  return {
    /** Of the leader, and the id of the group; 0 when it could not be started. */
    pid,
    /** To every process of the group, whether or not its leader still lives. */
    signalGroup(signal: NodeJS.Signals) {
      ending.signalled(signal)
      if (pid > 0) send(-pid, signal)
    },
    signalLeader(signal: NodeJS.Signals) {
      if (pid > 0 && shell.exitCode === null && shell.signalCode === null) send(pid, signal)
    },
    /** Waits for nothing any more. */
    abandon: ending.finish,
    /** Resolves when the leader exited, its output is written and its group is gone, each within bounds. Never rejects. */
    ended: ending.ended,
  }
}

/**
 * When is a process over? Its leader's exit decides; then the rest of its group must go, and the pipe must be read to its
 * end. A member that closed its output gives no event when it dies, so the group is looked at again, ever more rarely. A
 * process that left the group and holds the pipe is waited for only as long as it may still be flushing.
 */
function createEnding(group: number, clean: () => void) {
  const { promise: ended, resolve } = Promise.withResolvers<Exit>()
  let exit: Exit | undefined
  let eof = false
  /** Somebody told the group to end, and says when it must. */
  let asked = false
  let killed = group === 0
  let held = false
  let finished = false
  let graceEndsMs = Number.POSITIVE_INFINITY
  let drainAtMs = 0
  let lookMs = 10
  let timer: NodeJS.Timeout | undefined

  const finish = () => {
    if (finished) return
    finished = true
    clearTimeout(timer)
    clean()
    resolve(exit ?? { signal: 'SIGKILL' })
  }
  const later = (ms: number, then: () => void) => {
    clearTimeout(timer)
    timer = setTimeout(then, ms)
  }
  const settle = () => {
    if (exit === undefined || finished) return
    if (!killed && Date.now() >= graceEndsMs) {
      send(-group, 'SIGKILL')
      killed = true
    }
    if (!killed && isGroupAlive(group)) {
      later(lookMs, settle)
      lookMs = Math.min(1_000, lookMs * 2)
    } else if (eof) finish()
    else drain()
  }
  const drain = () => {
    drainAtMs ||= Date.now()
    if (!held) later(QUIET_MS, finish)
  }
  return {
    ended,
    finish,
    exited(how: Exit) {
      if (exit !== undefined) return
      exit = how
      if (!asked && group > 0) {
        graceEndsMs = Date.now() + GROUP_GRACE_MS
        send(-group, 'SIGTERM')
      }
      settle()
    },
    endOfFile() {
      eof = true
      settle()
    },
    gotData() {
      if (drainAtMs === 0 || finished) return
      if (Date.now() - drainAtMs > DRAIN_MS) finish()
      else drain()
    },
    paused() {
      held = true
      if (drainAtMs !== 0) clearTimeout(timer)
    },
    resumed() {
      held = false
      if (drainAtMs === 0) return
      drainAtMs = Date.now()
      settle()
    },
    signalled(signal: NodeJS.Signals) {
      asked = true
      killed ||= signal === 'SIGKILL'
      if (killed) setImmediate(settle)
    },
  }
}
