import { type Child, type ChildSpec, startChild } from './child.ts'
import type { Instance } from './formation.ts'
import type { LifeEvent } from './formats.ts'
import { type Exit, next, type State } from './process-state.ts'
import { decide, HEALTHY_MS, isSuccess, type RestartPolicy } from './restart-policy.ts'

/** One place of the formation: the process that stands in it, and those that follow it after a restart. */
export type Managed = ReturnType<typeof createManaged>

export interface ManagedOptions {
  readonly instance: Instance
  readonly policy: RestartPolicy
  /** A new pipe for each start. */
  readonly spec: () => ChildSpec
  readonly say: (event: LifeEvent) => void
  readonly watch: { add(group: number): void; remove(group: number): void }
  readonly now: () => number
  readonly random: () => number
  /** It ended by itself, and that ends the whole run. */
  readonly onOver: (exit: Exit) => void
  /** It ended and will not be started again. */
  readonly onExited: () => void
}

/** @see next for the states; this adds the child, the timers and the words. */
export function createManaged(options: ManagedOptions) {
  const { policy, say, now, watch } = options
  const { name, type } = options.instance
  let state: State = { tag: 'exited', exit: { code: 0 } }
  let child: Child | undefined
  let timer: NodeJS.Timeout | undefined
  let startedAtMs = 0
  /** In a row, both; only the second ones count to the limit. */
  let ends = 0
  let failures = 0
  let starts = 0

  const note = (text: string) => say({ tag: 'note', text: `${name} ${text}` })

  const start = () => {
    starts += 1
    startedAtMs = now()
    const started = startChild(options.spec())
    child = started
    state = next(state, { tag: 'spawned', pid: started.pid, atMs: startedAtMs })
    if (started.pid > 0) {
      watch.add(started.pid)
      say({ tag: 'started', name, pid: started.pid })
    }
    void started.ended.then((exit) => onEnded(started.pid, exit))
  }

  const onEnded = (pid: number, exit: Exit) => {
    watch.remove(pid)
    child = undefined
    clearTimeout(timer)
    say({ tag: 'stopped', name, exit })
    if (state.tag !== 'stopping') return onUnasked(exit)
    state = next(state, { tag: 'ended', exit })
    if (state.tag === 'starting') start()
    else options.onExited()
  }

  const onUnasked = (exit: Exit) => {
    if (now() - startedAtMs >= HEALTHY_MS) ends = failures = 0
    ends += 1
    failures = isSuccess(exit) ? 0 : failures + 1
    const decision = decide(policy, { type, exit, ends, failures }, options.random())
    if (decision.tag === 'again') return backOff(exit, decision.pauseMs)
    state = next(state, { tag: 'ended', exit })
    if (decision.tag === 'over') {
      if (decision.why === 'limit') note(`failed ${failures} times in a row; giving up`)
      if (decision.why === 'configuration') note('ended with 78: its configuration is wrong, so it is not started again')
      options.onOver(exit)
    }
    options.onExited()
  }

  const backOff = (exit: Exit, pauseMs: number) => {
    state = next(state, { tag: 'ended', exit, startAtMs: now() + pauseMs })
    note(`starts again in ${(pauseMs / 1000).toFixed(1)} s (${ends} in a row)`)
    timer = setTimeout(startIfAway, pauseMs)
  }

  const startIfAway = () => {
    state = next(state, { tag: 'startAsked' })
    if (state.tag === 'starting') start()
  }

  const signal = (which: 'SIGTERM' | 'SIGKILL') => {
    if (child === undefined || child.pid === 0) return
    say({ tag: 'signalled', name, pid: child.pid, signal: which })
    child.signalGroup(which)
  }

  /** True when there is now a process to be told. */
  const askToStop = (killAtMs: number, thenStart: boolean): boolean => {
    const before = state.tag
    if (before === 'backing-off') clearTimeout(timer)
    state = next(state, { tag: 'stopAsked', killAtMs, thenStart })
    if (state.tag === 'starting') start()
    else if (before === 'backing-off') options.onExited()
    return before === 'running'
  }

  const wind = (killAtMs: number, thenStart: boolean) => {
    if (!askToStop(killAtMs, thenStart)) return
    signal('SIGTERM')
    timer = setTimeout(signal, killAtMs - now(), 'SIGKILL')
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
    /** Starts it when it is not running. */
    start: startIfAway,
    /** Wants it gone; sends nothing yet. */
    stop: (killAtMs: number) => void askToStop(killAtMs, false),
    /** Ends it gracefully, and nothing else: the others go on. */
    halt: (killAtMs: number) => wind(killAtMs, false),
    /** Ends it gracefully and starts it again. */
    restart(killAtMs: number) {
      ends = failures = 0
      if (state.tag === 'exited') startIfAway()
      else wind(killAtMs, true)
    },
    /** SIGTERM to its group, if it is to stop. */
    term() {
      if (state.tag === 'stopping') signal('SIGTERM')
    },
    kill: () => signal('SIGKILL'),
    abandon: () => child?.abandon(),
    forward: (which: NodeJS.Signals) => child?.signalLeader(which),
  }
}
