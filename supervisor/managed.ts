import { type Child, type ChildSpec, startChild } from './child.ts'
import type { LifeEvent } from './formats.ts'
import { type Exit, next, type State } from './process-state.ts'
import { decide, HEALTHY_MS, type RestartPolicy } from './restart-policy.ts'

/** One place of the formation: the process that stands in it, and those that follow it after a restart. */
export interface Managed {
  readonly name: string
  readonly type: string
  readonly state: State
  readonly restarts: number
  /** Starts it when it is not running. */
  start(): void
  /** Wants it gone; sends nothing yet. */
  stop(killAtMs: number): void
  /** Ends it gracefully, and nothing else: the others go on. */
  halt(killAtMs: number): void
  /** Ends it gracefully and starts it again. */
  restart(killAtMs: number): void
  /** SIGTERM to its group if it is to stop and has not. */
  term(): void
  kill(): void
  abandon(): void
  forward(signal: NodeJS.Signals): void
}

export interface ManagedOptions {
  readonly name: string
  readonly type: string
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
export function createManaged(options: ManagedOptions): Managed {
  const { name, type, policy, say, now } = options
  let state: State = { tag: 'exited', exit: { code: 0 } }
  let child: Child | undefined
  let timer: NodeJS.Timeout | undefined
  let startedAtMs = 0
  let failures = 0
  let restarts = 0

  const spawnNow = () => {
    startedAtMs = now()
    const started = startChild(options.spec())
    child = started
    state = next(state, { tag: 'spawned', pid: started.pid, atMs: startedAtMs })
    if (started.pid > 0) {
      options.watch.add(started.pid)
      say({ tag: 'started', name, pid: started.pid })
    }
    void started.ended.then((exit) => onEnded(started, exit))
  }

  const onEnded = (ended: Child, exit: Exit) => {
    if (ended.pid > 0) options.watch.remove(ended.pid)
    child = undefined
    clearTimeout(timer)
    say({ tag: 'stopped', name, exit })
    failures = now() - startedAtMs >= HEALTHY_MS ? 1 : failures + 1
    const decision = state.tag === 'stopping' ? undefined : decide(policy, { type, exit, failures }, options.random())
    if (decision?.tag === 'again') return backOff(exit, decision.pauseMs)
    state = next(state, { tag: 'ended', exit })
    if (state.tag === 'starting') return again()
    if (decision?.tag === 'over') {
      if (decision.why === 'limit') say({ tag: 'note', text: `${name} failed ${failures} times in a row; giving up` })
      if (decision.why === 'configuration')
        say({ tag: 'note', text: `${name} ended with 78: its configuration is wrong, so it is not started again` })
      options.onOver(exit)
    }
    options.onExited()
  }

  const backOff = (exit: Exit, pauseMs: number) => {
    state = next(state, { tag: 'ended', exit, startAtMs: now() + pauseMs })
    say({ tag: 'note', text: `${name} starts again in ${(pauseMs / 1000).toFixed(1)} s (${failures} in a row)` })
    timer = setTimeout(() => {
      state = next(state, { tag: 'startAsked' })
      again()
    }, pauseMs)
  }

  const again = () => {
    restarts += 1
    spawnNow()
  }

  const term = () => {
    if (child === undefined || child.pid === 0 || state.tag !== 'stopping') return
    say({ tag: 'signalled', name, pid: child.pid, signal: 'SIGTERM' })
    child.signalGroup('SIGTERM')
  }

  const kill = () => {
    if (child === undefined || child.pid === 0) return
    say({ tag: 'signalled', name, pid: child.pid, signal: 'SIGKILL' })
    child.signalGroup('SIGKILL')
  }

  const askToStop = (killAtMs: number, thenStart: boolean) => {
    const before = state.tag
    state = next(state, { tag: 'stopAsked', killAtMs, thenStart })
    if (before !== 'exited') clearTimeout(timer)
    if (before === 'backing-off') thenStart ? again() : options.onExited()
    return before === 'running'
  }

  const wind = (killAtMs: number, thenStart: boolean) => {
    if (!askToStop(killAtMs, thenStart)) return
    term()
    timer = setTimeout(kill, killAtMs - now())
  }

  return {
    name,
    type,
    get state() {
      return state
    },
    get restarts() {
      return restarts
    },
    start() {
      if (state.tag !== 'exited') return
      state = next(state, { tag: 'startAsked' })
      spawnNow()
    },
    stop: (killAtMs) => void askToStop(killAtMs, false),
    halt: (killAtMs) => wind(killAtMs, false),
    restart(killAtMs) {
      failures = 0
      if (state.tag === 'exited') this.start()
      else wind(killAtMs, true)
    },
    term,
    kill,
    abandon: () => child?.abandon(),
    forward: (signal) => child?.signalLeader(signal),
  }
}
