import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isatty } from 'node:tty'
import { childEnv, defaultEnv } from './child-env.ts'
import { exitCode, signalNumber } from './exit-code.ts'
import { openPipes } from './fifo.ts'
import type { Instance } from './formation.ts'
import { createFormat, platformStamps, wantsColour } from './formats.ts'
import { createLogRing, type LogRing } from './log-ring.ts'
import { createManaged, type Managed } from './managed.ts'
import { watchMemory } from './memory-limit.ts'
import { createOutput, type Output, type Source } from './output.ts'
import type { Exit } from './process-state.ts'
import { policyFor } from './restart-policy.ts'
import type { SuperviseOptions } from './supervise.ts'
import { startWatchdog, type Watchdog } from './watchdog.ts'

/** Why the run ends. */
export type Cause =
  | { readonly tag: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly tag: 'exit'; readonly exit: Exit }
  /** Nobody reads our output any more. */
  | { readonly tag: 'broken' }

export interface Run {
  readonly output: Output
  readonly logs: LogRing
  readonly watchdog: Watchdog
  /** Aborted by the first cause. */
  readonly stopping: AbortSignal
  /** Resolves when no process is left, or none was started and none will be. */
  readonly finished: Promise<void>
  /** Resolves when the budget for stopping is used up. */
  readonly outOfTime: Promise<undefined>
  readonly processes: readonly Managed[]
  start(env: Readonly<Record<string, string>>): void
  stop(cause: Cause): void
  forward(signal: NodeJS.Signals): void
  openLog(name: string): (chunk: Buffer) => void
  /** The last thing, when nothing writes any more. */
  close(): void
  /** What is left of the budget; the whole of it before anybody asked to stop. */
  remainingMs(): number
  code(): number
}

export const DEFAULT_TIMEOUT_MS = 25_000
/** What was attached stops last, in this part of the budget. */
const ATTACHED_SHARE = 0.2
/** A burst of SIGTERM to everything here takes a few milliseconds; this is how long we wait to see whether it is one. */
const STORM_MS = 60
/** Ctrl-C may reach us twice, from the terminal and from a shell that hands it on; a person is slower. */
const BURST_MS = 300
/** From SIGKILL to giving up on a process that cannot die (state D). */
const LAST_MS = 1_000

/** The run's state and its one way down: ask, wait, remind, kill, give up. */
export function createRun(options: SuperviseOptions): Run {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const controller = new AbortController()
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  const { promise: outOfTime, resolve: giveUp } = Promise.withResolvers<undefined>()
  const timers = new Set<NodeJS.Timeout>()
  let budget: NodeJS.Timeout | undefined
  const logs: Source[] = []
  let processes: Managed[] = []
  let cause: Cause | undefined
  let stopAtMs = 0
  let asked = false
  let stopLooking = () => {}
  let storm = false

  const ring = createLogRing()
  const scratch = join(tmpdir(), `onedyno-${process.pid}-${Math.random().toString(36).slice(2)}`)
  const output = openOutput(options, ring, () => stop({ tag: 'broken' }))
  const watchdog = startWatchdog(scratch, () => {
    storm = true
  })

  const after = (ms: number, then: () => void) => {
    timers.add(setTimeout(then, ms))
  }
  const finishIfDone = () => {
    if (!processes.every((each) => each.state.tag === 'exited')) return
    stopLooking()
    for (const timer of timers) clearTimeout(timer)
    finish()
  }
  const killAll = () => {
    for (const each of processes) each.kill()
    after(LAST_MS, () => {
      for (const each of processes) each.abandon()
    })
  }
  const termAll = () => {
    for (const each of processes) each.term()
  }

  const stop = (next: Cause) => {
    if (next.tag === 'signal') output.say({ tag: 'received', signal: next.signal })
    if (cause !== undefined) {
      // Our own SIGTERM may come after the children's, and after the end of one: then it is the cause.
      if (next.tag === 'signal' && cause.tag === 'exit' && !asked) cause = next
      const again = next.tag === 'signal' && next.signal === 'SIGINT'
      if (again && isatty(0) && Date.now() - stopAtMs > BURST_MS) killAll()
      return
    }
    cause = next
    stopAtMs = Date.now()
    controller.abort()
    const childrenMs = options.attach === undefined ? timeoutMs : timeoutMs * (1 - ATTACHED_SHARE)
    for (const each of processes) each.stop(stopAtMs + childrenMs)
    after(childrenMs, killAll)
    budget = setTimeout(giveUp, timeoutMs, undefined)
    // Ctrl-C reaches us alone, since each child has its own session.
    if (next.tag === 'signal' && next.signal === 'SIGINT') ask(childrenMs)
    else after(STORM_MS, () => ask(childrenMs))
    finishIfDone()
  }

  const ask = (childrenMs: number) => {
    asked = true
    if (!storm) return termAll()
    output.say({ tag: 'note', text: 'the platform has sent SIGTERM to every process; not sending it again' })
    after(childrenMs / 2, termAll)
  }

  return {
    output,
    logs: ring,
    watchdog,
    stopping: controller.signal,
    finished,
    outOfTime,
    get processes() {
      return processes
    },
    start(env) {
      const factory = createFactory(options, env, {
        output,
        watchdog,
        scratch,
        onOver: (exit) => stop({ tag: 'exit', exit }),
        onExited: finishIfDone,
      })
      processes = options.processes.map(factory)
      for (const each of processes) each.start()
      stopLooking = watchMemory(options.maxMemory ?? new Map(), processes, timeoutMs, output.say)
      finishIfDone()
    },
    stop,
    forward(signal) {
      output.say({ tag: 'note', text: `${signal} received, forwarding it` })
      for (const each of processes) each.forward(signal)
    },
    openLog(name) {
      const source = output.source(name)
      logs.push(source)
      return (chunk) => source.push(chunk, chunk.length)
    },
    close() {
      for (const source of logs.splice(0)) source.end()
      clearTimeout(budget)
    },
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
  const env = options.env ?? process.env
  const tty = stream.isTTY === true
  const quiet = new Set(options.quiet ?? [])
  const format = createFormat({
    format: options.format ?? 'auto',
    names: options.processes.map((each) => each.name),
    tty,
    colour: wantsColour(tty, env, options.colour === false),
    stamped: platformStamps(env),
    prefix: options.prefix ?? true,
  })
  return createOutput({
    stream,
    format,
    quiet: (name) => quiet.size > 0 && (quiet.has(name) || quiet.has(name.split('.')[0]!)),
    onSlow: options.onSlowLog ?? 'block',
    onBroken,
    onBlock: ring.add,
  })
}

interface Surroundings {
  readonly output: Output
  readonly watchdog: Watchdog
  /** Folder for openPipes(). */
  readonly scratch: string
  readonly onOver: (exit: Exit) => void
  readonly onExited: () => void
}

/** Makes the processes; their first pipes are opened together. */
function createFactory(options: SuperviseOptions, attached: Readonly<Record<string, string>>, around: Surroundings) {
  const { output, watchdog } = around
  const base = { ...defaultEnv(colourFor(options)), ...(options.env ?? process.env), ...attached }
  const pipes = openPipes(options.processes.length, around.scratch)
  return (instance: Instance): Managed => {
    const { name, type, command } = instance
    const env = childEnv(base, instance)
    const cwd = options.cwd ?? process.cwd()
    return createManaged({
      name,
      type,
      policy: policyFor(type, options.restart),
      spec: () => ({ name, command, env, cwd, pipe: pipes.pop() ?? openPipes(1, around.scratch)[0], output }),
      say: output.say,
      watch: watchdog,
      now: Date.now,
      random: Math.random,
      onOver: around.onOver,
      onExited: around.onExited,
    })
  }
}

const colourFor = ({ stdout, env, colour }: SuperviseOptions) =>
  wantsColour((stdout ?? process.stdout).isTTY === true, env ?? process.env, colour === false)
