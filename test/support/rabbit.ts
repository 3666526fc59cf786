import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Runs `rabbitmqctl` on the server of this machine. */
export const rabbitmqctl = async (...args: string[]): Promise<string> => (await run('rabbitmqctl', ['-q', ...args])).stdout

export interface TestVhost {
  readonly name: string
  readonly url: string
  /** The URL of the same virtual host on another port, such as that of a proxy. */
  urlAt(port: number): string
  drop(): Promise<void>
}

/** Creates a virtual host on the server of this run. `drop` deletes it with its contents. */
export async function createTestVhost(url: string): Promise<TestVhost> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const parsed = new URL(url)
  await rabbitmqctl('add_vhost', name)
  await rabbitmqctl('set_permissions', '-p', name, parsed.username || 'guest', '.*', '.*', '.*')
  const urlAt = (port: number | string) => {
    const other = new URL(url)
    other.port = String(port)
    other.pathname = `/${name}`
    return other.href
  }
  return {
    name,
    url: urlAt(parsed.port),
    urlAt,
    async drop() {
      await rabbitmqctl('delete_vhost', name)
    },
  }
}
