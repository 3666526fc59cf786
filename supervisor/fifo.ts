import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** A real pipe: two descriptors, nothing on disk. */
export interface Pipe {
  /** Non-blocking, for us. */
  readonly readFd: number
  /** Blocking, for the child: a program that is not told otherwise must not see EAGAIN. */
  readonly writeFd: number
}

/**
 * Opens `count` pipes. Node's own `stdio: 'pipe'` is a pair of sockets, on which a child's `open("/dev/stdout")` fails with
 * ENXIO (nodejs/node#21941), and Node has no pipe(2): so FIFOs are made by one run of mkfifo(1) (3 ms for any number),
 * opened at both ends, and removed again before this returns. Without mkfifo or a writable temporary folder it returns
 * fewer pipes, and the caller falls back to sockets.
 *
 * @param folder does not exist before and after; the watchdog removes it if we are killed in between
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
    // A read-only file system, or no descriptors left: sockets do for most programs.
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return pipes
}

/** The reading end first: opening a FIFO to write waits for a reader. */
function openBothEnds(path: string): Pipe {
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return { readFd, writeFd: openSync(path, constants.O_WRONLY) }
  } catch (error) {
    closeSync(readFd)
    throw error
  }
}
