import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '../../src/embedded/embedded.ts'

/** A PostgreSQL server for tests. */
export interface TestDatabase {
  readonly url: string
  stop(): Promise<void>
}

/** Starts an empty server in a temporary folder. `stop` ends the server and removes the folder. */
export async function startTestDatabase(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'onedyno-test-database-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  // mkdtemp creates mode 0700. If tests run as root, the server runs as another user, who needs access to the folder.
  await chmod(folder, 0o755)
  const written: Buffer[] = []
  try {
    const database = await startEmbedded({
      dataDir: join(folder, '.onedyno'),
      env: process.env,
      signal: new AbortController().signal,
      log: (chunk) => written.push(chunk),
      note: () => {},
    })
    return { url: database.url, stop: () => database.stop().finally(remove) }
  } catch (error) {
    await remove()
    throw new Error(`no database for the tests: ${Buffer.concat(written)}`, { cause: error })
  }
}
