import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What a running server says about itself in postmaster.pid: src/include/utils/pidfile.h of PostgreSQL, the same since version 10. */
export interface PostmasterFile {
  readonly pid: number
  /** A single-user session, which has no socket. */
  readonly isStandalone: boolean
  readonly port: number
  /** '' when it listens on TCP only. */
  readonly socketDirectory: string
  /** `starting`, `stopping`, `ready`, `standby`; '' when it has not been written yet. */
  readonly status: string
}

const FILE = 'postmaster.pid'

export const postmasterFilePath = (dataDirectory: string): string => join(dataDirectory, FILE)

/** undefined when there is none, or only its beginning. */
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
 * Resolves when the server `pid` has written that it is ready. Connecting before that would put "the database system is starting up" into
 * the log at every attempt. Woken by the file's changes; the slow clock beside it is for file systems that report none.
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
    return undefined // no watches left (fs.inotify.max_user_watches)
  }
}
