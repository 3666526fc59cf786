import { once } from 'node:events'
import { existsSync, lstatSync } from 'node:fs'
import { createConnection } from 'node:net'
import { userInfo } from 'node:os'
import type { Writable } from 'node:stream'
import { type ControlRequest, controlPath } from './control.ts'
import { SupervisorError } from './errors.ts'

/**
 * Asks the supervisor of `appRoot` and writes its answer to `stdout`, at the pace of its reader, who may be a pager.
 *
 * @throws SupervisorError CONTROL_UNREACHABLE, CONTROL_REFUSED
 */
export async function askSupervisor(appRoot: string, request: ControlRequest, stdout: Writable): Promise<void> {
  if (!existsSync(appRoot)) throw new SupervisorError('CONTROL_UNREACHABLE', `there is no folder ${appRoot}`)
  const path = controlPath(appRoot)
  const stat = lstatSync(path, { throwIfNoEntry: false })
  // In a folder where all may write, a socket of somebody else's is nobody to talk to.
  if (stat === undefined || stat.uid !== userInfo().uid || !stat.isSocket()) {
    throw new SupervisorError('CONTROL_UNREACHABLE', `no supervisor listens at ${path}`)
  }
  const socket = createConnection(path)
  try {
    await once(socket, 'connect')
  } catch (cause) {
    throw new SupervisorError('CONTROL_UNREACHABLE', `nobody answers at ${path}`, { cause })
  }
  // A pager that was left, or head(1): no reason to complain.
  stdout.on('error', () => {})
  socket.write(`${JSON.stringify(request)}\n`)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    const refusal = /^error: (.*)/.exec(chunk.toString())
    if (refusal !== null) throw new SupervisorError('CONTROL_REFUSED', refusal[1]!)
    const gone = await new Promise<boolean>((resolve) => stdout.write(chunk, (error) => resolve(error instanceof Error)))
    if (gone) return
  }
}
