import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isatty } from 'node:tty'
import { childEnv, defaultEnv } from './child-env.ts'
import { exitCode, signalNumber } from './exit-code.ts'
import { openPipes } from './fifo.ts'
import { isNamed } from './formation.ts'
import { createFormat, platformStamps, wantsColour } from './formats.ts'
import { createLogRing, type LogRing } from './log-ring.ts'
import { watchMemory } from './memory-limit.ts'
import { createOutput, type Output, type Source } from './output.ts'
import type { Exit } from './process-state.ts'
import { policyFor } from './restart-policy.ts'
import { createManaged, type Managed, type ManagedOptions } from './slot.ts'
import type { SuperviseOptions } from './supervise.ts'
import { startWatchdog, type Watchdog } from './watchdog.ts'

/** Why the run ends. */
export type Cause =
  | { readonly tag: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly tag: 'exit'; readonly exit: Exit }
  /** Nobody reads our output any more. */
  | { readonly tag: 'broken' }

export const DEFAULT_TIMEOUT_MS = 25_000
/** What was attached stops last, in this part of the budget. */
const ATTACHED_SHARE = 0.2
/** A burst of SIGTERM to everything here takes a few milliseconds; this is how long we wait to see whether it is one. */
const STORM_MS = 80
/** Signals so near to each other count as one: Ctrl-C may reach us from the terminal and from a shell that hands it on. */
const BURST_MS = 300
/** From SIGKILL to giving up on a process that cannot die (state D), and for the last bytes to be written. */
export const LAST_MS = 1_000

export type Run = ReturnType<typeof createRun>

/** The run's state and its one way down: ask, wait, remind, kill, give up. */
export function createRun(options: SuperviseOptions) {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const childrenMs = options.attach === undefined ? timeoutMs : timeoutMs * (1 - ATTACHED_SHARE)
  const controller = new AbortController()
  // Named here: the declarations that tsc writes could not name the type.
  const stopping: AbortSignal = controller.signal
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  const { promise: outOfTime, resolve: giveUp } = Promise.withResolvers<undefined>()
  const timers = new Set<NodeJS.Timeout>()
  const sources: Source[] = []
  let budget: NodeJS.Timeout | undefined
  let processes: Managed[] = []
  let cause: Cause | undefined
  let asked = false
  let stopAtMs = 0
  let stormAtMs = 0
  let stopLooking = () => {}

  const logs = createLogRing()
  const output = openOutput(options, logs, () => stop({ tag: 'broken' }))
  const scratch = join(tmpdir(), `onedyno-${process.pid}-${Math.random().toString(36).slice(2)}`)
  const watchdog = startWatchdog(scratch, () => {
    stormAtMs = Date.now()
  })

  const after = (ms: number, then: () => void) => timers.add(setTimeout(then, ms))
  const finishIfDone = () => {
    if (!processes.every((each) => each.state.tag === 'exited')) return
    stopLooking()
    for (const timer of timers) clearTimeout(timer)
    finish()
  }
  const termAll = () => {
    for (const each of processes) each.term()
  }
  const killAll = () => {
    for (const each of processes) each.kill()
    after(LAST_MS, () => {
      for (const each of processes) each.abandon()
    })
  }

  const stop = (next: Cause) => {
    if (next.tag === 'signal') output.say({ tag: 'received', signal: next.signal })
    if (cause !== undefined) return stopAgain(next, cause)
    cause = next
    stopAtMs = Date.now()
    controller.abort()
    for (const each of processes) each.stop(stopAtMs + childrenMs)
    after(childrenMs, killAll)
    budget = setTimeout(giveUp, timeoutMs, undefined)
    // Ctrl-C reaches us alone, since each child has its own session.
    if (next.tag === 'signal' && next.signal === 'SIGINT') ask()
    else after(STORM_MS, ask)
    finishIfDone()
  }

  const stopAgain = (next: Cause, first: Cause) => {
    if (next.tag !== 'signal') return
    // Our own SIGTERM may come after the children's, and after the end of one: then it is the cause.
    if (first.tag === 'exit' && !asked) cause = next
    if (next.signal === 'SIGINT' && isatty(0) && Date.now() - stopAtMs > BURST_MS) killAll()
  }

  const ask = () => {
    asked = true
    if (stopAtMs - stormAtMs > BURST_MS) return termAll()
    output.say({ tag: 'note', text: 'the platform has sent SIGTERM to every process; not sending it again' })
    after(childrenMs / 2, termAll)
  }

  return {
    output,
    logs,
    watchdog,
    timeoutMs,
    /** Aborted by the first cause. */
    stopping,
    /** Resolves when no process is left, or none was started and none will be. */
    finished,
    /** Resolves when the budget for stopping is used up. */
    outOfTime,
    processes: () => processes,
    start(env: Readonly<Record<string, string>>) {
      const onOver = (exit: Exit) => stop({ tag: 'exit', exit })
      const told = { ...env, SHUTDOWN_TIMEOUT: String(Math.max(1, Math.floor(childrenMs / 1000))) }
      processes = createProcesses(options, told, { output, watchdog, scratch, onOver, onExited: finishIfDone })
      for (const each of processes) each.start()
      stopLooking = watchMemory(options.maxMemory ?? new Map(), processes, timeoutMs, output.say)
      finishIfDone()
    },
    stop,
    forward(signal: NodeJS.Signals) {
      output.say({ tag: 'note', text: `${signal} received, forwarding it` })
      for (const each of processes) each.forward(signal)
    },
    openLog(name: string) {
      const source = output.source(name)
      sources.push(source)
      return (chunk: Buffer) => source.push(chunk, chunk.length)
    },
    /** The last thing, when nothing writes any more. */
    close() {
      for (const source of sources.splice(0)) source.end()
      clearTimeout(budget)
    },
    /** What is left of the budget; the whole of it before anybody asked to stop. */
    remainingMs: () => (cause === undefined ? timeoutMs : Math.max(0, stopAtMs + timeoutMs - Date.now())),
    code: () => codeOf(cause),
  }
}

function codeOf(cause: Cause | undefined): number {
  if (cause === undefined) return 0
  if (cause.tag === 'exit') return exitCode(cause.exit)
  return 128 + signalNumber(cause.tag === 'signal' ? cause.signal : 'SIGPIPE')
}

function openOutput(options: SuperviseOptions, ring: LogRing, onBroken: () => void): Output {
  const stream = options.stdout ?? process.stdout
  const quiet = options.quiet ?? []
  const format = createFormat({
    format: options.format ?? 'auto',
    names: options.processes.map((each) => each.name),
    tty: stream.isTTY === true,
    colour: isColourful(options),
    stamped: platformStamps(options.env ?? process.env),
    prefix: options.prefix ?? true,
  })
  return createOutput({
    stream,
    format,
    quiet: (name) => quiet.length > 0 && isNamed(name, quiet),
    onSlow: options.onSlowLog ?? 'block',
    onBroken,
    onBlock: ring.add,
  })
}

const isColourful = ({ colour, stdout, env }: SuperviseOptions) =>
  colour !== false && wantsColour(stdout ?? process.stdout, env ?? process.env)

interface Surroundings extends Pick<ManagedOptions, 'onOver' | 'onExited'> {
  readonly output: Output
  readonly watchdog: Watchdog
  /** Folder for openPipes(). */
  readonly scratch: string
}

/** Their first pipes are opened together. */
function createProcesses(options: SuperviseOptions, attached: Readonly<Record<string, string>>, around: Surroundings): Managed[] {
  const { output, watchdog, scratch, onOver, onExited } = around
  const base = {
    ...defaultEnv(isColourful(options)),
    ...(options.env ?? process.env),
    ...attached,
  }
  const cwd = options.cwd ?? process.cwd()
  const pipes = openPipes(options.processes.length, scratch)
  return options.processes.map((instance) => {
    const { name, command } = instance
    const env = childEnv(base, instance)
    const spec = () => ({ name, command, env, cwd, pipe: pipes.pop() ?? openPipes(1, scratch)[0], output })
    const policy = policyFor(instance.type, options.restart)
    return createManaged({
      instance,
      policy,
      spec,
      say: output.say,
      watch: watchdog,
      now: Date.now,
      random: Math.random,
      onOver,
      onExited,
    })
  })
}
