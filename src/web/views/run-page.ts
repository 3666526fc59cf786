import { html } from 'ghtml'
import type { State } from '../../app/outcome.ts'
import { runPath } from '../paths.ts'
import type { RunDescription } from '../run-description.ts'
import type { Html, Page } from './layout.ts'
import { duration, moment } from './moment.ts'
import { stateBadge } from './state-badge.ts'
import { showValue } from './value.ts'

/** While nothing is final and scripts are off. */
const REFRESH_SECONDS = 2

const MAX_AGAIN = 2000
const MAX_SHOWN = 300

const MEANING: Readonly<Record<State, string>> = {
  PENDING: 'Waiting for a worker.',
  RECEIVED: 'A worker has taken it and will start it soon.',
  STARTED: 'Running now.',
  RETRY: 'Failed, and will be tried again.',
  SUCCESS: 'Done.',
  FAILURE: 'Ended with an error.',
  REVOKED: 'Called off before it ran.',
}

export function runPage(run: RunDescription, now: Date): Page {
  const path = runPath(run.task, run.id)
  return {
    title: `${run.state}: ${run.task}`,
    refreshSeconds: run.ready ? undefined : REFRESH_SECONDS,
    main: html`<h1>${run.task}</h1>
<div id="run" aria-live="polite" data-path="${path}" data-state="${run.state}" data-ready="${run.ready}">
<p class="headline">!${stateBadge(run.state)} <span>${MEANING[run.state]}</span></p>
!${outcome(run)}
<dl class="facts">!${facts(run, now)}</dl>
</div>
<p class="links"><a href="${againPath(run)}">Run it again</a> <a href="${path}?format=json">JSON</a></p>`,
  }
}

/** The form, filled in with what this run was called with; a long text would not fit into an address. */
function againPath({ task, args }: RunDescription): string {
  const text = args === null ? '' : JSON.stringify(args)
  const filled = text === '' || text.length > MAX_AGAIN ? '' : `&args=${encodeURIComponent(text)}`
  return `/?task=${encodeURIComponent(task)}${filled}`
}

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

function facts(run: RunDescription, now: Date): Html {
  const time = (at: Date | null) => (at === null ? undefined : moment(at, now))
  const rows: readonly (readonly [name: string, value: Html | undefined])[] = [
    ['Ready', run.ready ? 'yes' : 'no'],
    ['Due', time(run.dueAt)],
    ['Sent', time(run.createdAt)],
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
    ['Worker', run.worker === null ? undefined : html`${run.worker}`],
    ['ID', html`<code>${run.id}</code>`],
  ]
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => html`<div><dt>${name}</dt><dd>!${value}</dd></div>`)
    .join('')
}
