import { stripVTControlCharacters } from 'node:util'
import { html } from 'ghtml'
import type { State } from '../../app/outcome.ts'
import type { StoredLine } from '../../database/task-reports.ts'
import { runPath } from '../paths.ts'
import { type RunDescription, revisionOf } from '../run-description.ts'
import type { Html, Page } from './layout.ts'
import { duration, moment } from './moment.ts'
import { stateBadge } from './state-badge.ts'
import { showValue } from './value.ts'

/** Seconds after which the page reloads itself, if the run is not final and scripts are off. */
const REFRESH_SECONDS = 2

const MAX_AGAIN = 2000
const MAX_SHOWN = 300
const MAX_CHILDREN = 50

const MEANING: Readonly<Record<State, string>> = {
  PENDING: 'Waiting for a worker.',
  RECEIVED: 'A worker has taken it and will start it soon.',
  STARTED: 'Running now.',
  RETRY: 'Failed, and will be tried again.',
  SUCCESS: 'Done.',
  FAILURE: 'Ended with an error.',
  REVOKED: 'Called off, or past its time.',
}

export interface RunView {
  readonly run: RunDescription
  /** The last log lines, oldest first. */
  readonly lines: readonly StoredLine[]
  /** true: there are more lines than the shown ones. */
  readonly hasEarlierLines: boolean
  /** true: the user has just revoked the run on this page. */
  readonly isRevoked: boolean
  readonly now: Date
}

export function runPage({ run, lines, hasEarlierLines, isRevoked, now }: RunView): Page {
  const path = runPath(run.task, run.id)
  return {
    title: `${run.state}: ${run.task}`,
    refreshSeconds: run.ready ? undefined : REFRESH_SECONDS,
    main: html`<h1>${run.task}</h1>
<div id="run" aria-live="polite" data-path="${path}" data-state="${run.state}" data-ready="${run.ready}" data-revision="${revisionOf(run, lines)}">
!${isRevoked && !run.ready ? html`<p class="notice" role="status">Called off: a worker will not run it, or end it where that was asked for.</p>` : ''}
<p class="headline">!${stateBadge(run.state)} <span>${MEANING[run.state]}</span></p>
!${progress(run)}
!${outcome(run)}
<dl class="facts">!${facts(run, now)}</dl>
!${log(lines, hasEarlierLines ? path : undefined)}
</div>
!${run.ready ? '' : revokeForm(path)}
<p class="links"><a href="${againPath(run)}">Run it again</a> <a href="${path}?format=json">JSON</a></p>`,
  }
}

/**
 * Returns the path of the form, filled with the arguments of this run. Long arguments are left out, because the length of a URL
 * is limited.
 */
function againPath({ task, args }: RunDescription): string {
  const text = args === null ? '' : JSON.stringify(args)
  const filled = text === '' || text.length > MAX_AGAIN ? '' : `&args=${encodeURIComponent(text)}`
  return `/?task=${encodeURIComponent(task)}${filled}`
}

function progress({ progress: said, ready }: RunDescription): Html {
  if (said === null || ready) return ''
  const { n, of, note } = said
  const bar = of == null || of <= 0 ? html`${n}` : html`<progress value="${n}" max="${of}">${n} of ${of}</progress> ${n} of ${of}`
  return html`<p class="progress">!${bar}!${note == null ? '' : html` <span class="soft">${note}</span>`}</p>`
}

const LEVELS: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }

/** Renders the log lines. @param earlierAt path of the run if there are more lines than the shown ones; otherwise undefined */
function log(lines: readonly StoredLine[], earlierAt: string | undefined): Html {
  if (lines.length === 0) return ''
  const earlier =
    earlierAt === undefined
      ? ''
      : html`<p class="soft">The last ${lines.length} lines. <a href="${earlierAt}?log=all#log-title">Earlier ones, too</a></p>`
  return html`<section aria-labelledby="log-title"><h2 id="log-title">Log <span class="soft">(times in UTC)</span></h2>!${earlier}<pre class="log" tabindex="0">!${lines.map(
    (line) => html`${lineOf(line)}
`,
  )}</pre></section>`
}

const lineOf = ({ at_ms, level, message, fields }: StoredLine) =>
  stripVTControlCharacters(
    `${new Date(at_ms).toISOString().slice(11, 23)} ${(LEVELS[level] ?? level).toString().padEnd(5)} ${message}${fields === null ? '' : ` ${fields}`}`,
  )

const revokeForm = (path: string): Html => html`<details class="confirm"><summary>Call off…</summary>
<form method="post" action="${path}/revoke"><p><label><input type="checkbox" name="terminate"> also end it if it runs already</label></p>
<button class="danger">Call it off</button></form></details>`

const shortened = (text: string) => (text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text)

function outcome({ state, result, error }: RunDescription): Html {
  if (error !== null) {
    return html`<section class="notice bad" aria-labelledby="error-title"><h2 id="error-title">${error.type}</h2>
<p class="message">${error.message}</p>!${error.traceback === null ? '' : html`<details><summary>Traceback</summary><pre tabindex="0">${error.traceback}</pre></details>`}</section>`
  }
  return state === 'SUCCESS'
    ? html`<section aria-labelledby="result-title"><h2 id="result-title">Result</h2>!${showValue(result)}</section>`
    : ''
}

function children({ children: sent }: RunDescription): Html | undefined {
  if (sent.length === 0) return undefined
  return html`<ul class="plain">!${sent
    .slice(0, MAX_CHILDREN)
    .map(
      (child) =>
        html`<li>!${typeof child === 'string' ? html`<a href="/runs/${child}"><code>${child}</code></a>` : html`group <code>${child.group}</code>`}</li>`,
    )}</ul>`
}

function facts(run: RunDescription, now: Date): Html {
  const time = (at: Date | null) => (at === null ? undefined : moment(at, now))
  const rows: readonly (readonly [name: string, value: Html | undefined])[] = [
    ['Ready', run.ready ? 'yes' : 'no'],
    ['Due', time(run.dueAt)],
    // If a task was not sent from the console, only the time of its first record is known, which may be later than its start.
    ['Sent', run.startedAt !== null && run.createdAt !== null && run.createdAt > run.startedAt ? undefined : time(run.createdAt)],
    ['Started', time(run.startedAt)],
    ['Ended', time(run.doneAt)],
    [
      'Took',
      run.startedAt !== null && run.doneAt !== null
        ? html`${duration(run.doneAt.getTime() - run.startedAt.getTime())}`
        : undefined,
    ],
    ['Retries', run.retries > 0 ? html`${run.retries}` : undefined],
    ['Queue', run.queue === null ? undefined : html`${run.queue}`],
    ['Arguments', run.args === null ? undefined : html`<code>${shortened(JSON.stringify(run.args))}</code>`],
    ['Sent by', run.parentId === null ? undefined : html`<a href="/runs/${run.parentId}"><code>${run.parentId}</code></a>`],
    ['Has sent', children(run)],
    ['Worker', run.worker === null ? undefined : html`${run.worker}`],
    ['ID', html`<code>${run.id}</code>`],
  ]
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => html`<div><dt>${name}</dt><dd>!${value}</dd></div>`)
    .join('')
}
