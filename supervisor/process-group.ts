import { readdirSync, readFileSync } from 'node:fs'

/** Sends to one process, or with a negative number to a group; whoever is gone already needs no signal. */
export function send(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // EPERM: macOS says so of a group of zombies; elsewhere it is a process that became another user's, and not ours to end.
    if (code === 'ESRCH' || code === 'EPERM') return false
    throw error
  }
}

/** Does any process of the group still run? Zombies do not: in a container without an init nobody ever reaps them. */
export const isGroupAlive = (group: number): boolean =>
  send(-group, 0) && (process.platform !== 'linux' || liveMembers(group).length > 0)

/**
 * What the processes of a group hold, in bytes; what they share is counted once (PSS), as the platform's limit counts it.
 * 0 where /proc does not tell.
 */
export function groupMemoryBytes(group: number): number {
  if (process.platform !== 'linux') return 0
  const kilobytes = liveMembers(group).map((pid) => /^Pss: +(\d+) kB/m.exec(readProc(pid, 'smaps_rollup'))?.[1] ?? 0)
  return kilobytes.reduce((sum: number, each) => sum + Number(each), 0) * 1024
}

/** proc_pid_stat(5): "pid (name) state ppid pgrp …"; the name may hold spaces and parentheses. */
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
    // It ended between the two looks, or is another user's.
    return ''
  }
}
