import type { RoleProcess } from '../../support/role.ts'

/** One way in which a worker ends, and the expected result with every broker. docs/operations.md shows the same table. */
export interface Ending {
  readonly how: string
  /** The task that runs at the end; undefined: none. `first`: its start is recorded before it acts. */
  readonly task?: {
    readonly name: 'no-loss.victim' | 'no-loss.thread'
    readonly vice: string
    readonly timeLimit?: number
    readonly first?: 'ended'
  }
  /** The action of the test on the worker; undefined: the task acts. */
  readonly act?: (worker: RoleProcess) => void
  readonly exit: '0' | '7' | 'SIGKILL' | 'goes on'
  readonly recorded: 'SUCCESS' | 'FAILURE TimeLimitExceeded' | '–'
  /** When the task runs again, and the limit in milliseconds. */
  readonly again: string
  readonly withinMs?: number
  /** Another task that ran in the same worker. */
  readonly beside: 'once' | 'twice' | '–'
}

const sigterm = (worker: RoleProcess) => worker.kill('SIGTERM')
const graceful = 'when the grace is over'
const afterDeath = 'within a second (Redis: four)'
/** The grace of these workers is one second, and the machine of the tests is busy. */
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
    // Until the memory is full.
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
