import { readdirSync, readFileSync } from 'node:fs'

/** Signals one process, or a group if `target` is negative. Returns false if the target is gone. */
export function send(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // EPERM means a group of zombies on macOS. Elsewhere it means a process that changed its user, which we may not signal.
    if (code === 'ESRCH' || code === 'EPERM') return false
    throw error
  }
}

/**
 * Returns true if a process of the group runs. Zombies do not count, because a container without an init process never reaps
 * them.
 */
export const isGroupAlive = (group: number): boolean =>
  send(-group, 0) && (process.platform !== 'linux' || liveMembers(group).length > 0)

/**
 * Returns the memory of a group in bytes, as PSS: shared pages count once, as the platform counts them for its limit. Returns 0
 * on systems without /proc/PID/smaps_rollup.
 */
export function groupMemoryBytes(group: number): number {
  if (process.platform !== 'linux') return 0
  const kilobytes = liveMembers(group).map((pid) => /^Pss: +(\d+) kB/m.exec(readProc(pid, 'smaps_rollup'))?.[1] ?? 0)
  return kilobytes.reduce((sum: number, each) => sum + Number(each), 0) * 1024
}

/**
 * Returns the process ids of a group without zombies. Parses proc_pid_stat(5): "pid (name) state ppid pgrp …"; the name may
 * contain spaces and parentheses.
 */
function liveMembers(group: number): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    const stat = readProc(pid, 'stat')
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(pgrp) === group && state !== 'Z' && state !== 'X'
  })
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    // The process has ended since readdir, or belongs to another user.
    return ''
  }
}
