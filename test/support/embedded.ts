import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '../../src/embedded/embedded.ts'

/** A PostgreSQL server for tests. */
export interface TestDatabase {
  readonly url: string
  stop(): Promise<void>
}

/** A server with nothing in it, in a temporary folder; `stop` removes both. */
export async function startTestDatabase(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'onedyno-test-database-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  // mkdtemp makes it 0700: as root the server, which runs as another user, would have to keep its data elsewhere.
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
