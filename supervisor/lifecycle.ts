import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { childEnv, defaultEnv } from './child-env.ts'
import type { Exit } from './exit.ts'
import { openPipes } from './fifo.ts'
import { isNamed } from './formation.ts'
import { createFormat, platformStamps, wantsColour } from './formats.ts'
import { createLogRing, type LogRing } from './log-ring.ts'
import { watchMemory } from './memory-limit.ts'
import { createOutput, type Output, type Source } from './output.ts'
import { policyFor } from './restart-policy.ts'
import type { SuperviseOptions } from './run-options.ts'
import { createSlot, type Slot, type SlotOptions } from './slot.ts'
import { createStopSequence } from './stop-sequence.ts'
import { startWatchdog, type Watchdog } from './watchdog.ts'

const DEFAULT_TIMEOUT_MS = 25_000
/** The share of the budget that is reserved for the attached service, which stops after the children. */
const ATTACHED_SHARE = 0.2

export type Lifecycle = ReturnType<typeof createLifecycle>

/** One run from its first process to its last: the slots, the output, the watchdog, and the sequence that stops them. */
export function createLifecycle(options: SuperviseOptions) {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const childrenMs = options.attach === undefined ? timeoutMs : timeoutMs * (1 - ATTACHED_SHARE)
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  const sources: Source[] = []
  let slots: Slot[] = []
  let stopWatchingMemory = () => {}

  const finishIfDone = () => {
    if (!slots.every((slot) => slot.state.tag === 'exited')) return
    stopWatchingMemory()
    sequence.finish()
    finish()
  }

  const logs = createLogRing()
  const output = openOutput(options, logs, () => sequence.stop({ tag: 'broken' }))
  const say = output.say
  const sequence = createStopSequence({ childrenMs, timeoutMs, say, slots: () => slots, onStop: finishIfDone })
  const scratch = join(tmpdir(), `onedyno-${process.pid}-${Math.random().toString(36).slice(2)}`)
  const watchdog = startWatchdog(scratch, sequence.stormSeen)

  return {
    output,
    logs,
    watchdog,
    timeoutMs,
    /** Aborted by the first cause to stop. */
    stopping: sequence.stopping,
    /** Resolves when every process has ended, or when the run stops before any has started. */
    finished,
    outOfTime: sequence.outOfTime,
    slots: () => slots,
    start(attachedEnv: Readonly<Record<string, string>>) {
      const onOver = (exit: Exit) => sequence.stop({ tag: 'exit', exit })
      const env = { ...attachedEnv, SHUTDOWN_TIMEOUT: String(Math.max(1, Math.floor(childrenMs / 1000))) }
      slots = createSlots(options, env, { output, watchdog, scratch, onOver, onExited: finishIfDone })
      for (const slot of slots) slot.start()
      stopWatchingMemory = watchMemory({ limits: options.maxMemory ?? new Map(), slots, timeoutMs, say })
      finishIfDone()
    },
    stop: sequence.stop,
    forward(signal: NodeJS.Signals) {
      say({ tag: 'note', text: `${signal} received, forwarding it` })
      for (const slot of slots) slot.forward(signal)
    },
    openLog(name: string) {
      const source = output.source(name)
      sources.push(source)
      return (chunk: Buffer) => source.push(chunk, chunk.length)
    },
    /** Ends the remaining sources of output and the stop sequence. Called last, when no process writes any more. */
    close() {
      for (const source of sources.splice(0)) source.end()
      sequence.close()
    },
    remainingMs: sequence.remainingMs,
    code: sequence.code,
  }
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

interface Surroundings extends Pick<SlotOptions, 'onOver' | 'onExited'> {
  readonly output: Output
  readonly watchdog: Watchdog
  /** Folder for openPipes(). */
  readonly scratch: string
}

/** Creates the slots. One run of mkfifo(1) opens the first pipes of all slots. */
function createSlots(options: SuperviseOptions, env: Readonly<Record<string, string>>, around: Surroundings): Slot[] {
  const { output, watchdog, scratch, onOver, onExited } = around
  const base = { ...defaultEnv(isColourful(options)), ...(options.env ?? process.env), ...env }
  const cwd = options.cwd ?? process.cwd()
  const pipes = openPipes(options.processes.length, scratch)
  return options.processes.map((instance) => {
    const { name, command } = instance
    const ownEnv = childEnv(base, instance)
    return createSlot({
      instance,
      policy: policyFor(instance.type, options.restart),
      spec: () => ({ name, command, env: ownEnv, cwd, pipe: pipes.pop() ?? openPipes(1, scratch)[0], output }),
      say: output.say,
      watchdog,
      now: Date.now,
      random: Math.random,
      onOver,
      onExited,
    })
  })
}
