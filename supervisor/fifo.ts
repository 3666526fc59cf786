import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** A kernel pipe: two descriptors, nothing on disk. */
export interface Pipe {
  /** Non-blocking, for the supervisor. */
  readonly readFd: number
  /** Blocking, for the child: most programs do not expect EAGAIN from stdout. */
  readonly writeFd: number
}

/**
 * Opens `count` pipes. Node's `stdio: 'pipe'` is a pair of sockets, on which `open("/dev/stdout")` in a child fails with
 * ENXIO (nodejs/node#21941), and Node has no pipe(2). So one run of mkfifo(1) creates FIFOs (3 ms for any number); they are
 * opened at both ends and deleted before this function returns. Without mkfifo or a writable temporary folder the result has
 * fewer pipes, and the caller uses sockets instead.
 *
 * @param folder created and deleted by this function; the watchdog deletes it if the supervisor is killed in between
 */
export function openPipes(count: number, folder: string): Pipe[] {
  const pipes: Pipe[] = []
  try {
    mkdirSync(folder, { mode: 0o700 })
    const paths = Array.from({ length: count }, (_, i) => join(folder, String(i)))
    if (count > 0 && spawnSync('mkfifo', ['-m', '600', ...paths], { stdio: 'ignore' }).status === 0) {
      for (const path of paths) pipes.push(openBothEnds(path))
    }
  } catch {
    // A read-only file system, or no free descriptors. Sockets work for most programs.
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return pipes
}

/** Opens the reading end first, because opening a FIFO for writing blocks until there is a reader. */
function openBothEnds(path: string): Pipe {
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return { readFd, writeFd: openSync(path, constants.O_WRONLY) }
  } catch (error) {
    closeSync(readFd)
    throw error
  }
}
