import { type Child, type ChildSpec, startChild } from './child.ts'
import type { Exit } from './exit.ts'
import type { LifeEvent } from './format.ts'
import type { Instance } from './formation.ts'
import { type Event, next, type State, timedEvent } from './process-state.ts'
import { countEnd, decide, NO_STREAK, type RestartPolicy } from './restart-policy.ts'

/** One instance of the formation: its current process and, after restarts, the processes that replace it. */
export type Slot = ReturnType<typeof createSlot>

export interface SlotOptions {
  readonly instance: Instance
  readonly policy: RestartPolicy
  /** Returns the spec of the next child. Called for each start, because each child needs a new pipe. */
  readonly spec: () => ChildSpec
  readonly say: (event: LifeEvent) => void
  readonly watchdog: { add(group: number): void; remove(group: number): void }
  readonly now: () => number
  readonly random: () => number
  /** Called when the process has ended and its restart policy ends the whole run. */
  readonly onOver: (exit: Exit) => void
  /** Called when the process has ended and will not start again. */
  readonly onExited: () => void
}

/** Runs the state table of process-state.ts: `next` decides, this function starts, signals, logs and keeps the timer. */
export function createSlot(options: SlotOptions) {
  const { policy, say, now, watchdog } = options
  const { name, type } = options.instance
  let state: State = { tag: 'exited', exit: { code: 0 } }
  let child: Child | undefined
  let timer: NodeJS.Timeout | undefined
  let streak = NO_STREAK
  let starts = 0

  const note = (text: string) => say({ tag: 'note', text: `${name} ${text}` })

  /** Changes the state, and starts or signals the process as the new state requires. No other function changes the state. */
  const apply = (event: Event) => {
    const before = state
    state = next(before, event)
    if (state === before) return
    clearTimeout(timer)
    const timed = timedEvent(state)
    if (timed !== undefined) timer = setTimeout(apply, timed.atMs - now(), timed.event)
    if (event.tag === 'killDue') signal('SIGKILL')
    if (state.tag === 'exited') options.onExited()
    if (state.tag === 'starting') spawn()
  }

  const spawn = () => {
    starts += 1
    const atMs = now()
    const started = startChild(options.spec())
    child = started
    apply({ tag: 'spawned', pid: started.pid, atMs })
    if (started.pid > 0) {
      watchdog.add(started.pid)
      say({ tag: 'started', name, pid: started.pid })
    }
    void started.ended.then((exit) => onEnded(started.pid, exit))
  }

  const onEnded = (pid: number, exit: Exit) => {
    watchdog.remove(pid)
    child = undefined
    say({ tag: 'stopped', name, exit })
    if (state.tag === 'running') onUnaskedEnd(exit, now() - state.sinceMs)
    else apply({ tag: 'ended', exit })
  }

  /** Called when the process has ended without a stop request: its restart policy decides what happens. */
  const onUnaskedEnd = (exit: Exit, livedMs: number) => {
    streak = countEnd(streak, exit, livedMs)
    const decision = decide(policy, { type, exit, ...streak }, options.random())
    if (decision.tag === 'again') {
      apply({ tag: 'ended', exit, startAtMs: now() + decision.pauseMs })
      return note(`restarts in ${(decision.pauseMs / 1000).toFixed(1)} s (${streak.ends} ends in a row)`)
    }
    if (decision.tag === 'over') {
      if (decision.why === 'limit') note(`failed ${streak.failures} times in a row; giving up`)
      if (decision.why === 'configuration') note('exited with 78 (wrong configuration); not restarting it')
    }
    apply({ tag: 'ended', exit })
    if (decision.tag === 'over') options.onOver(exit)
  }

  const signal = (which: 'SIGTERM' | 'SIGKILL') => {
    if (child === undefined || child.pid === 0) return
    say({ tag: 'signalled', name, pid: child.pid, signal: which })
    child.signalGroup(which)
  }

  const stopAndSignal = (killAtMs: number, thenStart: boolean) => {
    const wasRunning = state.tag === 'running'
    apply({ tag: 'stopAsked', killAtMs, thenStart })
    if (wasRunning) signal('SIGTERM')
  }

  return {
    name,
    type,
    get state(): State {
      return state
    },
    get restarts() {
      return Math.max(0, starts - 1)
    },
    /** Starts the process unless it runs. */
    start: () => apply({ tag: 'startAsked' }),
    /** Marks the process as stopping and plans SIGKILL. SIGTERM is left to term(). */
    stop: (killAtMs: number) => apply({ tag: 'stopAsked', killAtMs, thenStart: false }),
    /** Stops this process gracefully. The other slots keep running. */
    halt: (killAtMs: number) => stopAndSignal(killAtMs, false),
    /** Stops the process gracefully, if it runs, and starts it again. */
    restart(killAtMs: number) {
      streak = NO_STREAK
      stopAndSignal(killAtMs, true)
    },
    /** Sends SIGTERM to the group of a stopping process. */
    term() {
      if (state.tag === 'stopping') signal('SIGTERM')
    },
    /** Treats the process as ended, although it still runs. */
    abandon: () => child?.abandon(),
    forward: (which: NodeJS.Signals) => child?.signalLeader(which),
  }
}
