import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Pipe } from './fifo.ts'
import type { Output } from './output.ts'
import { createProcessEnd } from './process-end.ts'
import { send } from './process-group.ts'
import { execIfSimple } from './shell.ts'

export interface ChildSpec {
  readonly name: string
  readonly command: string
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Both output streams of the child use this one pipe, which keeps their order. Undefined: a socket of Node is used. */
  readonly pipe: Pipe | undefined
  readonly output: Output
}

/** One process group and the pipe that it writes to. */
export type Child = ReturnType<typeof startChild>

/**
 * HOT: all readers share one buffer, because each chunk is used up before the next read. It is one byte larger than a pipe,
 * so libuv sees a short read and turns to the next child instead of reading this one again.
 */
const chunk = Buffer.allocUnsafeSlow(65_537)

/**
 * Starts `command` with /bin/sh in a session and process group of its own. Uses node:child_process, because the import of
 * execa takes 70 ms, which is most of the supervisor's part of a dyno's start, and keeps 7 MB of memory.
 */
export function startChild(spec: ChildSpec) {
  const { name, pipe, cwd, env, output } = spec
  const out = pipe?.writeFd ?? 'pipe'
  // stdin is inherited, as in Honcho: some watchers (tailwind --watch) exit when their stdin is closed.
  const shell = spawn('/bin/sh', ['-c', pipe === undefined ? `exec 2>&1\n${spec.command}` : execIfSimple(spec.command)], {
    cwd,
    env,
    detached: true,
    stdio: ['inherit', out, pipe === undefined ? 'ignore' : out],
  })
  if (pipe !== undefined) closeSync(pipe.writeFd)
  const pid = shell.pid ?? 0
  const end = createProcessEnd(pid, () => {
    socket.destroy()
    source.end()
  })
  const onBytes = (bytes: Buffer, length: number) => {
    source.push(bytes, length)
    end.gotData()
    return true
  }
  const onread = { buffer: chunk, callback: (length: number, bytes: Uint8Array) => onBytes(bytes as Buffer, length) }
  const socket =
    pipe === undefined
      ? (shell.stdout as Socket).on('data', (bytes: Buffer) => onBytes(bytes, bytes.length))
      : new Socket({ fd: pipe.readFd, readable: true, writable: false, onread })
  const pause = () => {
    end.paused()
    socket.pause()
  }
  const resume = () => {
    end.resumed()
    socket.resume()
  }
  const source = output.source(name, { pause, resume })
  socket.on('error', end.endOfFile).on('close', end.endOfFile)
  if (output.held) pause()
  else socket.resume()
  shell.once('exit', (code, signal) => end.exited(signal === null ? { code: code ?? 0 } : { signal }))
  shell.once('error', (error) => {
    output.say({ tag: 'note', text: `${name} cannot be started in ${cwd}: ${error.message}` })
    end.exited({ code: 127 })
  })
  return {
    /** Process id of the leader and id of the group. 0 if the process could not be started. */
    pid,
    /** Signals every process of the group, also after its leader has exited. */
    signalGroup(signal: NodeJS.Signals) {
      end.signalled(signal)
      if (pid > 0) send(-pid, signal)
    },
    signalLeader(signal: NodeJS.Signals) {
      if (pid > 0 && shell.exitCode === null && shell.signalCode === null) send(pid, signal)
    },
    /** Stops waiting for the process: `ended` resolves. */
    abandon: end.finish,
    /** Resolves when the leader exited, its output is written and its group is gone, each within bounds. Never rejects. */
    ended: end.ended,
  }
}
