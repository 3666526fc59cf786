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
export function isGroupAlive(group: number): boolean {
  if (!send(-group, 0)) return false
  if (process.platform !== 'linux') return true
  return readdirSync('/proc').some((entry) => /^\d+$/.test(entry) && isLiveMember(entry, group))
}

/** proc_pid_stat(5): "pid (name) state ppid pgrp …"; the name may hold spaces and parentheses. */
function isLiveMember(pid: string, group: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(pgrp) === group && state !== 'Z' && state !== 'X'
  } catch {
    return false
  }
}
