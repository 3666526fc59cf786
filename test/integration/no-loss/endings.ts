import type { RoleProcess } from '../../support/role.ts'

/** One way a worker can end, and what has to be seen whatever the broker. docs/operations.md shows the same table. */
export interface Ending {
  readonly how: string
  /** The task that runs meanwhile; undefined: none does. `first`: it is recorded before it does what it does. */
  readonly task?: {
    readonly name: 'no-loss.victim' | 'no-loss.thread'
    readonly vice: string
    readonly timeLimit?: number
    readonly first?: 'ended'
  }
  /** What the test does to the worker; undefined: its task does it. */
  readonly act?: (worker: RoleProcess) => void
  readonly exit: '0' | '7' | 'SIGKILL' | 'goes on'
  readonly recorded: 'SUCCESS' | 'FAILURE TimeLimitExceeded' | '–'
  /** When the task runs again, and within how many milliseconds that is. */
  readonly again: string
  readonly withinMs?: number
  /** Another task that was running in the same worker. */
  readonly beside: 'once' | 'twice' | '–'
}

const sigterm = (worker: RoleProcess) => worker.kill('SIGTERM')
const graceful = 'when the grace is over'
const afterDeath = 'within a second (Redis: four)'
/** The grace of these workers is a second; the machine of the tests is busy. */
const GRACE_MS = 1000
const SLACK_MS = 8000

export const ENDINGS: readonly Ending[] = [
  { how: 'SIGTERM, nothing runs', act: sigterm, exit: '0', recorded: '–', again: '–', beside: '–' },
  {
    how: 'SIGTERM, a task runs longer than the grace',
    task: { name: 'no-loss.victim', vice: 'sleep' },
    act: sigterm,
    exit: '0',
    recorded: 'SUCCESS',
    again: graceful,
    withinMs: GRACE_MS + SLACK_MS,
    beside: 'once',
  },
  {
    how: 'SIGTERM twice',
    task: { name: 'no-loss.victim', vice: 'sleep' },
    act(worker) {
      worker.kill('SIGTERM')
      setTimeout(() => worker.kill('SIGTERM'), 100)
    },
    exit: '0',
    recorded: 'SUCCESS',
    again: graceful,
    withinMs: GRACE_MS + SLACK_MS,
    beside: 'once',
  },
  {
    how: 'SIGKILL',
    task: { name: 'no-loss.victim', vice: 'sleep' },
    act: (worker) => worker.kill('SIGKILL'),
    exit: 'SIGKILL',
    recorded: 'SUCCESS',
    again: afterDeath,
    withinMs: 4000 + SLACK_MS,
    beside: 'twice',
  },
  {
    how: '`process.exit(7)` in a task',
    task: { name: 'no-loss.victim', vice: 'exit' },
    exit: '7',
    recorded: 'SUCCESS',
    again: afterDeath,
    withinMs: 4000 + SLACK_MS,
    beside: 'twice',
  },
  {
    how: '`process.exit(7)` in a task in a thread',
    task: { name: 'no-loss.thread', vice: 'exit' },
    exit: 'goes on',
    recorded: 'SUCCESS',
    again: 'at once',
    withinMs: SLACK_MS,
    beside: 'once',
  },
  {
    how: 'A thread runs out of memory',
    task: { name: 'no-loss.thread', vice: 'eat' },
    exit: 'goes on',
    recorded: 'SUCCESS',
    again: 'at once',
    // Until its memory is full.
    withinMs: 20_000 + SLACK_MS,
    beside: 'once',
  },
  {
    how: 'A promise of a task is rejected and nobody awaits it',
    task: { name: 'no-loss.victim', vice: 'reject' },
    exit: 'goes on',
    recorded: 'SUCCESS',
    again: 'no',
    beside: 'once',
  },
  {
    how: 'A task with a hard time limit loops for ever',
    task: { name: 'no-loss.victim', vice: 'loop at once', timeLimit: 1 },
    exit: 'SIGKILL',
    recorded: 'FAILURE TimeLimitExceeded',
    again: 'no',
    beside: 'twice',
  },
  {
    how: 'A task that is past its hard time limit loops for ever',
    task: { name: 'no-loss.victim', vice: 'loop', timeLimit: 1, first: 'ended' },
    exit: 'SIGKILL',
    recorded: 'FAILURE TimeLimitExceeded',
    again: 'no',
    beside: 'twice',
  },
]
