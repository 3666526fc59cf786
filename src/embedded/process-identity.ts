import { execFile } from 'node:child_process'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Stands for the start of a living process if the system does not show the start (Windows, or /proc mounted with hidepid). */
const UNKNOWN = 'unknown'

/**
 * Returns the time when the process `pid` started, as a text that is only for comparison: pids are reused, starts are not.
 * Undefined if there is no such process. A zombie counts as no process, because it may never be reaped (node as pid 1 of a
 * container does not reap). Linux: boot id and field 22 of /proc/<pid>/stat (proc_pid_stat(5)); elsewhere `ps -o lstart`.
 */
export async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return startFromProc(pid)
  if (process.platform === 'win32') return isPidTaken(pid) ? UNKNOWN : undefined
  const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
  return stdout.trim() === '' ? undefined : stdout.trim()
}

/**
 * Returns true if both starts are of the same process. An unknown start counts as the same, so that a living process is never
 * taken for dead.
 */
export const isSameStart = (a: string, b: string): boolean => a === b || a === UNKNOWN || b === UNKNOWN

/** Returns an id of the pid namespace: two containers that share a folder do not share pids. */
export async function pidNamespace(): Promise<string> {
  return process.platform === 'linux' ? readlink('/proc/self/ns/pid').catch(() => UNKNOWN) : 'host'
}

/**
 * Returns true if `pid` is a PostgreSQL process of this data directory. Every server process has the data directory as its
 * working directory. This stays true after the folder is renamed, and is false if postmaster.pid belongs to a copied folder.
 * Compares device and inode.
 */
export async function isPostgresOf(pid: number, dataDirectory: string): Promise<boolean> {
  if ((await startOf(pid)) === undefined) return false
  if (process.platform === 'linux') return (await isNamedPostgres(pid)) && (await isWorkingIn(pid, await inodeOf(dataDirectory)))
  if (process.platform === 'win32') return true // on Windows the caller has asked the server for its data directory
  const { stdout } = await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
  return stdout.includes('postgres') && stdout.includes(dataDirectory)
}

/**
 * Returns the pids of all processes whose working directory is in `directories`. `onlyPostgres`: only PostgreSQL processes.
 * Returns no pids on systems other than Linux.
 */
export async function processesIn(directories: readonly string[], onlyPostgres: boolean): Promise<number[]> {
  if (process.platform !== 'linux') return []
  const inodes = (await Promise.all(directories.map(inodeOf))).filter((inode) => inode !== undefined)
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    for (const inode of inodes) {
      if ((await isWorkingIn(pid, inode)) && (!onlyPostgres || (await isNamedPostgres(pid)))) found.push(pid)
    }
  }
  return found
}

/** Sends a signal. Does nothing if the process has already ended. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function startFromProc(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  if (text === undefined) return isPidTaken(pid) ? UNKNOWN : undefined
  // The second field is the program's name in parentheses. The name may itself contain parentheses and spaces, so the last `)`
  // ends it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined
  return `${await bootId()} ${fields[19]}`
}

const bootId = () =>
  readFile('/proc/sys/kernel/random/boot_id', 'latin1')
    .then((text) => text.trim())
    .catch(() => '')

const isNamedPostgres = (pid: number) =>
  readFile(`/proc/${pid}/comm`, 'latin1')
    .then((name) => name.trim() === 'postgres')
    .catch(() => false)

const inodeOf = (path: string) =>
  stat(path)
    .then(({ dev, ino }) => `${dev}:${ino}`)
    .catch(() => undefined)

const isWorkingIn = async (pid: number, inode: string | undefined) =>
  inode !== undefined && (await inodeOf(`/proc/${pid}/cwd`)) === inode

/** Returns true if a process or a zombie has this pid. */
export function isPidTaken(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
