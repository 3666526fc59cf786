import type { LogLine } from '../../app/effects.ts'
import type { TaskReports } from '../../database/task-reports.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import { captureLog } from './capture-log.ts'
import type { Reporter, RunReport } from './ports.ts'

/** Shortest time between two writes of a run's log lines and progress, in milliseconds. The console polls no more often. */
const WRITE_EVERY_MS = 500
/** Largest number of stored log lines of one attempt. The log of the platform has all lines. */
const MAX_LINES = 500

/** Stores log lines and progress of runs for the console. Nothing is stored for a silent run, and a short run is stored with its outcome. */
export function createReporter(reports: TaskReports, log: Log): Reporter {
  let refused = ''
  const failed = (error: Error) => {
    if (refused !== error.message) log.warn({ reason: error.message }, 'log lines or progress of a task could not be stored')
    refused = error.message
  }
  return { begin: (message) => createRunReport(message, { reports, log, failed }) }
}

interface Parts {
  readonly reports: TaskReports
  readonly log: Log
  readonly failed: (error: Error) => void
}

function createRunReport({ headers, queue }: Message, { reports, log, failed }: Parts): RunReport {
  const { id, task } = headers
  const retries = Number.isInteger(headers.retries) ? (headers.retries as number) : 0
  let lines: LogLine[] = []
  let kept = 0
  let progress: string | undefined
  let timer: NodeJS.Timeout | undefined
  let ended = false

  const write = () => {
    timer = undefined
    if (lines.length > 0) reports.log(lines.map((line) => ({ id, retries, ...line }))).catch(failed)
    if (progress !== undefined) reports.progress({ id, task, queue, retries, progress }).catch(failed)
    lines = []
    progress = undefined
  }
  const schedule = () => {
    if (!ended) timer ??= setTimeout(write, WRITE_EVERY_MS)
  }
  const keep = (line: LogLine) => {
    if (ended || kept > MAX_LINES) return
    kept += 1
    lines.push(
      kept > MAX_LINES
        ? { ...line, message: `more than ${MAX_LINES} lines: the rest is in the log of the worker`, fields: null }
        : line,
    )
    schedule()
  }

  return {
    log: captureLog(log.child({ task, id }), keep),
    progress(n, of, note) {
      if (ended) return
      progress = JSON.stringify({
        n: finite(n),
        ...(of !== undefined && { of: finite(of) }),
        ...(note !== undefined && { note: cut(note) }),
      })
      schedule()
    },
    end() {
      ended = true
      clearTimeout(timer)
      return lines.length === 0 && progress === undefined ? undefined : { logs: lines, progress }
    },
  }
}

const finite = (value: number) => (Number.isFinite(value) ? value : 0)
const cut = (note: string) => String(note).slice(0, 500).replaceAll('\0', '\uFFFD').toWellFormed()
