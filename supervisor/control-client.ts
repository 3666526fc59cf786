import { once } from 'node:events'
import { lstatSync } from 'node:fs'
import { createConnection } from 'node:net'
import { userInfo } from 'node:os'
import type { Writable } from 'node:stream'
import { type ControlRequest, controlPath, type ProcessStatus } from './control.ts'
import { SupervisorError } from './errors.ts'

/**
 * Asks the supervisor of `appRoot` and writes its answer to `stdout`; resolves with the exit code.
 *
 * @throws SupervisorError CONTROL_UNREACHABLE, PROCESS_UNKNOWN
 */
export async function askSupervisor(appRoot: string, request: ControlRequest, stdout: Writable): Promise<number> {
  const path = controlPath(appRoot)
  const socket = createConnection({ path: mustBeOurs(path) })
  try {
    await once(socket, 'connect')
  } catch (cause) {
    throw new SupervisorError('CONTROL_UNREACHABLE', `nobody answers at ${path}`, { cause })
  }
  socket.write(`${JSON.stringify(request)}\n`)
  let first = true
  let table = ''
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    const refused = first && /^error: (.*)/.exec(chunk.toString())
    if (refused) throw new SupervisorError('PROCESS_UNKNOWN', refused[1]!)
    first = false
    if (request.command === 'ps') table += chunk.toString()
    else await print(stdout, chunk)
  }
  if (request.command === 'ps') await print(stdout, showTable(readStatus(table)))
  return 0
}

const readStatus = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ProcessStatus)

/** Waits for the reader, who may be a pager. */
const print = (stdout: Writable, text: string | Buffer) => new Promise<void>((resolve) => stdout.write(text, () => resolve()))

/** In a folder where all may write, a socket of somebody else's is nobody to talk to. */
function mustBeOurs(path: string): string {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat !== undefined && stat.uid === userInfo().uid && stat.isSocket()) return path
  throw new SupervisorError('CONTROL_UNREACHABLE', `no supervisor listens at ${path}`)
}

function showTable(processes: readonly ProcessStatus[]): string {
  const rows = processes.map((each) => [
    each.name,
    each.state,
    each.pid === null ? '-' : String(each.pid),
    each.upSeconds === null ? '-' : duration(each.upSeconds),
    String(each.restarts),
    each.memoryBytes === null ? '-' : `${(each.memoryBytes / 1e6).toFixed(0)} MB`,
  ])
  const all = [['PROCESS', 'STATE', 'PID', 'UP', 'RESTARTS', 'MEMORY'], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  return `${all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${seconds % 60}s`
  return `${Math.floor(seconds / 3_600)}h${Math.floor((seconds % 3_600) / 60)}m`
}
