import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The content of postmaster.pid, which a running server writes (utils/pidfile.h of PostgreSQL; unchanged since version 10). */
export interface PostmasterFile {
  readonly pid: number
  /** True for a single-user session, which has no socket. */
  readonly isStandalone: boolean
  readonly port: number
  /** Empty if the server listens only on TCP. */
  readonly socketDirectory: string
  /** `starting`, `stopping`, `ready`, `standby`; empty if the server has not written it yet. */
  readonly status: string
}

const FILE = 'postmaster.pid'

export const postmasterFilePath = (dataDirectory: string): string => join(dataDirectory, FILE)

/** Returns undefined if the file does not exist or is not yet complete. */
export async function readPostmasterFile(dataDirectory: string): Promise<PostmasterFile | undefined> {
  const text = await readFile(postmasterFilePath(dataDirectory), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return parsePostmasterFile(text)
}

export function parsePostmasterFile(text: string): PostmasterFile | undefined {
  const [pid = '', , , port = '', socketDirectory = '', , , status = ''] = text.split('\n')
  if (!/^-?\d+$/.test(pid.trim())) return undefined
  const number = Number(pid)
  return {
    pid: Math.abs(number),
    isStandalone: number < 0,
    port: Number(port),
    socketDirectory: socketDirectory.trim(),
    status: status.trim(),
  }
}

/**
 * Resolves when postmaster.pid says that the server `pid` is ready. Does not test by connecting, because that would write "the
 * database system is starting up" into the log. Reads the file whenever it changes, and also at a slow interval, for file
 * systems that report no changes.
 * @throws the signal's reason
 */
export async function untilReady(dataDirectory: string, pid: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const check = () => {
    readPostmasterFile(dataDirectory).then((file) => file?.pid === pid && file.status === 'ready' && resolve(), reject)
  }
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  const watcher = watchFile(dataDirectory, check)
  const clock = setInterval(check, 100)
  if (signal.aborted) abort()
  check()
  try {
    await promise
  } finally {
    clearInterval(clock)
    watcher?.close()
    signal.removeEventListener('abort', abort)
  }
}

function watchFile(directory: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, (_event, name) => name === FILE && onChange())
    return watcher.on('error', () => watcher.close())
  } catch {
    return undefined // the system allows no more watches (fs.inotify.max_user_watches)
  }
}
