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
  /**
   * The pipe for stdout and stderr of the child: one pipe keeps the order of their lines. undefined: a socket of Node is used.
   */
  readonly pipe: Pipe | undefined
  readonly output: Output
}

/** One process group and the pipe that it writes to. */
export type Child = ReturnType<typeof startChild>

/**
 * The buffer that all readers share, because each chunk is consumed before the next read. HOT: the buffer is one byte larger
 * than a pipe, so that libuv always sees a short read and continues with the next child instead of reading from the same child
 * again.
 */
const chunk = Buffer.allocUnsafeSlow(65_537)

/**
 * Starts `command` with /bin/sh in a session and process group of its own. Uses node:child_process instead of execa, whose
 * import takes 70 ms, which is most of the time that the supervisor adds to a dyno's start, and 7 MB of memory.
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
    /** Signals every process of the group, even after its leader has exited. */
    signalGroup(signal: NodeJS.Signals) {
      end.signalled(signal)
      if (pid > 0) send(-pid, signal)
    },
    signalLeader(signal: NodeJS.Signals) {
      if (pid > 0 && shell.exitCode === null && shell.signalCode === null) send(pid, signal)
    },
    /** Stops waiting for the process: `ended` resolves. */
    abandon: end.finish,
    /**
     * Resolves when the leader has exited, its output has been written and its group has ended; each wait has a time limit.
     * Never rejects.
     */
    ended: end.ended,
  }
}
