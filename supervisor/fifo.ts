import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** A kernel pipe: two file descriptors, no file on disk. */
export interface Pipe {
  /** The reading end, for the supervisor. Non-blocking. */
  readonly readFd: number
  /** The writing end, for the child. Blocking, because most programs do not expect EAGAIN from stdout. */
  readonly writeFd: number
}

/**
 * Opens `count` pipes. Node's `stdio: 'pipe'` is a pair of sockets, for which `open("/dev/stdout")` in a child fails with ENXIO
 * (nodejs/node#21941), and Node has no pipe(2). So one run of mkfifo(1) creates FIFOs (3 ms for any number). They are opened at
 * both ends and deleted before this function returns. Without mkfifo or a writable temporary folder this function returns fewer
 * pipes, and the caller uses sockets instead.
 * @param folder created and deleted by this function; if the supervisor is killed in between, the watchdog deletes the folder
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
    // Ignored: the file system is read-only, or no file descriptors are free. The caller uses sockets, which work for most
    // programs.
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
