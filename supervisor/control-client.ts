import { once } from 'node:events'
import { lstatSync } from 'node:fs'
import { createConnection } from 'node:net'
import type { Writable } from 'node:stream'
import { type ControlRequest, controlPath, ownUid } from './control.ts'
import { SupervisorError } from './errors.ts'

const REFUSED = '-'.charCodeAt(0)

/**
 * Sends a request to the supervisor of `appRoot` and writes the answer to `stdout`. Waits for the reader of `stdout`, which may
 * be a pager.
 *
 * @throws SupervisorError CONTROL_UNREACHABLE, CONTROL_REFUSED
 */
export async function askSupervisor(appRoot: string, request: ControlRequest, stdout: Writable): Promise<void> {
  const path = controlPath(appRoot)
  const stat = lstatSync(path, { throwIfNoEntry: false })
  // A socket of another user is not trusted, because all users may write to the temporary folder.
  if (stat === undefined || stat.uid !== ownUid() || !stat.isSocket()) {
    throw new SupervisorError('CONTROL_UNREACHABLE', `no supervisor listens at ${path}`)
  }
  const socket = createConnection(path)
  try {
    await once(socket, 'connect')
  } catch (cause) {
    throw new SupervisorError('CONTROL_UNREACHABLE', `no supervisor answers at ${path}`, { cause })
  }
  socket.write(`${JSON.stringify(request)}\n`)
  let isFirst = true
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    if (isFirst && chunk[0] === REFUSED) throw new SupervisorError('CONTROL_REFUSED', chunk.toString('utf8', 1))
    const text = chunk.subarray(isFirst ? 1 : 0)
    isFirst = false
    const gone = await new Promise<boolean>((resolve) => stdout.write(text, (error) => resolve(error instanceof Error)))
    if (gone) return
  }
}
