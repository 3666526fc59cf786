import { html } from 'ghtml'
import type { ScheduleRun, StoredSchedule } from '../../database/schedules.ts'
import { runPath, schedulePath } from '../paths.ts'
import type { Html, Page } from './layout.ts'
import { duration, moment, shortMoment } from './moment.ts'
import { problemOf, whenInWords } from './schedules-page.ts'
import { stateBadge } from './state-badge.ts'

export interface ScheduleView {
  readonly schedule: StoredSchedule
  readonly runs: readonly ScheduleRun[]
  /** true: there are older runs than the shown ones. */
  readonly hasMore: boolean
  /** The next ticks; empty if there are none. */
  readonly ticks: readonly Date[]
  readonly isNew: boolean
  readonly now: Date
}

export function schedulePage(view: ScheduleView): Page {
  const { schedule, ticks, isNew, now } = view
  const path = schedulePath(schedule.id)
  return {
    title: `Schedule: ${schedule.task}`,
    current: 'schedules',
    main: html`<h1>${schedule.task}</h1>
!${isNew ? html`<p class="notice good" role="status">Scheduled. It runs by itself from now on.</p>` : ''}
<p class="headline">${capital(whenInWords(schedule))}</p>
!${problemOf(schedule)}
<dl class="facts">
<div><dt>Next runs</dt><dd>!${nextRuns(schedule, ticks, now)}</dd></div>
<div><dt>Arguments</dt><dd><code>${JSON.stringify(schedule.args)}</code>!${kwargs(schedule)}</dd></div>
!${schedule.schedule?.kind === 'crontab' ? html`<div><dt>Time zone</dt><dd>${schedule.schedule.timezone}</dd></div>` : ''}
<div><dt>Runs so far</dt><dd>${schedule.totalRunCount}</dd></div>
<div><dt>Name</dt><dd>${schedule.name}</dd></div>
<div><dt>ID</dt><dd><code>${schedule.id}</code></dd></div>
</dl>
!${actions(schedule, path)}
!${history(view, path)}`,
  }
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

const kwargs = ({ kwargs }: StoredSchedule): Html =>
  Object.keys(kwargs).length === 0 ? '' : html` <code>${JSON.stringify(kwargs)}</code>`

function nextRuns({ enabled }: StoredSchedule, ticks: readonly Date[], now: Date): Html {
  if (!enabled) return 'None: it is disabled.'
  if (ticks.length === 0) return 'None.'
  return html`<ol class="plain">!${ticks.map((tick) => html`<li>!${moment(tick, now)}</li>`)}</ol>`
}

const actions = ({ enabled }: StoredSchedule, path: string): Html => html`<div class="actions">
!${action(`${path}/${enabled ? 'disable' : 'enable'}`, enabled ? 'Disable' : 'Enable')}
<details class="confirm"><summary>Delete…</summary><p>It will not run any more. Its run history is kept.</p>!${action(`${path}/delete`, 'Delete for good', 'danger')}</details>
</div>`

const action = (path: string, text: string, kind = ''): Html =>
  html`<form method="post" action="${path}"><button class="${kind}">${text}</button></form>`

function history({ runs, hasMore, now }: ScheduleView, path: string): Html {
  const last = runs.at(-1)
  return html`<section aria-labelledby="history-title"><h2 id="history-title">Run history</h2>
!${last === undefined ? html`<p class="soft">It has not run yet. <a href="${path}">Look again</a></p>` : table(runs, now)}
!${hasMore && last !== undefined ? html`<p class="links"><a href="${path}?before=${encodeURIComponent(last.tick.toISOString())}">Earlier runs</a></p>` : ''}</section>`
}

const table = (runs: readonly ScheduleRun[], now: Date): Html => html`<div class="scroll"><table>
<caption class="unseen">Runs, newest first</caption>
<thead><tr><th scope="col">Tick</th><th scope="col">State</th><th scope="col">Took</th><th scope="col">Run</th></tr></thead>
<tbody>!${runs.map((run) => row(run, now))}</tbody>
</table></div>`

const row = (run: ScheduleRun, now: Date): Html => html`<tr>
<td>!${shortMoment(run.tick, now)}!${run.missed > 0 ? html` <span class="soft">for ${run.missed} missed before it</span>` : ''}</td>
<td>!${outcome(run)}</td>
<td>${run.startedAt !== null && run.doneAt !== null ? duration(run.doneAt.getTime() - run.startedAt.getTime()) : ''}</td>
<td>!${run.taskId === null ? '' : html`<a href="${runPath(run.task, run.taskId)}"><code>${run.taskId}</code></a>`}</td>
</tr>`

function outcome({ outcome, reason, state }: ScheduleRun): Html {
  if (outcome === 'skipped_misfire') return html`<span class="soft">skipped: too late</span>`
  if (outcome === 'skipped_catchup') return html`<span class="soft">skipped: missed while nothing ran</span>`
  const why = reason === 'tick' ? '' : html` <span class="soft">${reason === 'catchup' ? 'made up for' : 'by hand'}</span>`
  return html`!${state === null ? html`<span class="soft">nothing stored</span>` : stateBadge(state)}!${why}`
}
