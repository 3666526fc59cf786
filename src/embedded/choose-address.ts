import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { type Address, SOCKET_PORT } from './address.ts'
import type { Home } from './data-home.ts'
import type { PostmasterFile } from './postmaster-file.ts'
import { prepareSocketDirectory } from './socket-directory.ts'

/**
 * Returns the address for a new server: a Unix socket, or on Windows, where few programs support them, a free port of 127.0.0.1
 * and a password that is stored beside the data.
 */
export async function chooseAddress(home: Home, temporary: string): Promise<Address> {
  if (process.platform !== 'win32')
    return { kind: 'socket', directory: await prepareSocketDirectory(home, temporary), port: SOCKET_PORT }
  return { kind: 'tcp', port: await freePort(), password: await keptPassword(join(home.path, 'password')) }
}

/** Returns the address of the server that wrote `file`. `usual` supplies the values that the file lacks. */
export function addressIn(file: PostmasterFile, usual: Address): Address {
  if (usual.kind === 'tcp') return { ...usual, port: file.port }
  return { kind: 'socket', directory: file.socketDirectory || usual.directory, port: file.port || usual.port }
}

async function keptPassword(path: string): Promise<string> {
  const password = randomBytes(24).toString('base64url')
  try {
    await writeFile(path, password, { flag: 'wx', mode: 0o600, flush: true })
    return password
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return readFile(path, 'utf8')
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
