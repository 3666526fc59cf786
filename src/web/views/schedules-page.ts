import { html } from 'ghtml'
import type { StoredSchedule } from '../../database/schedules.ts'
import { describeSchedule } from '../../schedule/describe.ts'
import { runPath, schedulePath } from '../paths.ts'
import type { Html, Page } from './layout.ts'
import { shortMoment } from './moment.ts'

/** Milliseconds. Beat plans new rows and claims due rows within a second. If a row waits longer than this, beat does not run. */
const OVERDUE_MS = 60_000

export interface SchedulesView {
  readonly schedules: readonly StoredSchedule[]
  /** Name of the schedule after which the next page begins; undefined if this is the last page. */
  readonly next: string | undefined
  readonly now: Date
}

export function schedulesPage({ schedules, next, now }: SchedulesView): Page {
  return {
    title: 'Schedules',
    current: 'schedules',
    main: html`<h1>Schedules</h1>
!${schedules.length === 0 ? empty() : table(schedules, now)}
!${next === undefined ? '' : html`<p class="links"><a href="/schedules?after=${encodeURIComponent(next)}">Next page</a></p>`}`,
  }
}

const empty = (): Html => html`<div class="card"><p>There is no schedule yet.</p>
<p>Fill the schedule field of the <a href="/">form</a>, for example with <code>15 minutes</code>, or send <code>{"task": "tasks.echo", "args": ["hi"], "schedule": "15 minutes"}</code> to <code>/api/tasks</code>.</p></div>`

const table = (schedules: readonly StoredSchedule[], now: Date): Html => html`<div class="scroll"><table class="stack">
<caption class="unseen">All schedules, by name</caption>
<thead><tr><th scope="col">Task</th><th scope="col" class="wide">When</th><th scope="col">Next run</th><th scope="col">Last run</th><th scope="col">Runs</th></tr></thead>
<tbody>!${schedules.map((schedule) => row(schedule, now))}</tbody>
</table></div>`

const row = (schedule: StoredSchedule, now: Date): Html => html`<tr>
<th scope="row"><a href="${schedulePath(schedule.id)}">${schedule.task}</a> <code class="soft">${short(JSON.stringify(schedule.args))}</code>!${ownName(schedule)}</th>
<td data-label="When"><div>${whenInWords(schedule)}!${problemOf(schedule)}</div></td>
<td data-label="Next run"><div>!${nextRun(schedule, now)}</div></td>
<td data-label="Last run"><div>!${lastRun(schedule, now)}</div></td>
<td data-label="Runs">${schedule.totalRunCount}</td>
</tr>`

/** Returns the name if a person chose it. Returns an empty text for a generated name, which only repeats task and time. */
const ownName = ({ name, task }: StoredSchedule): Html =>
  name.startsWith(`${task}, `) ? '' : html`<div class="soft">${name}</div>`

const short = (text: string) => (text.length > 60 ? `${text.slice(0, 57)}...` : text)

export const whenInWords = ({ schedule, problem }: Pick<StoredSchedule, 'schedule' | 'problem'>): string =>
  schedule === undefined ? `cannot be read: ${problem}` : describeSchedule(schedule)

export const problemOf = ({ lastError }: Pick<StoredSchedule, 'lastError'>): Html =>
  lastError === null ? '' : html`<div class="problem">${lastError}</div>`

/** Returns the time of the next run, or the reason why there is none. */
export function nextRun({ enabled, finished, nextRunAt, lastError, problem, changedAt }: StoredSchedule, now: Date): Html {
  if (!enabled) return html`<span class="soft">disabled</span>`
  if (finished) return html`<span class="soft">finished</span>`
  const isOverdue = now.getTime() - (nextRunAt ?? changedAt).getTime() > OVERDUE_MS
  if (nextRunAt !== null) {
    return html`!${shortMoment(nextRunAt, now)}!${isOverdue ? html`<div class="problem">overdue: is beat running?</div>` : ''}`
  }
  if (problem !== undefined || lastError !== null) return html`<span class="soft">none</span>`
  return isOverdue
    ? html`<span class="problem">not planned: is beat running?</span>`
    : html`<span class="soft">being planned</span>`
}

function lastRun({ task, lastRunAt, lastTaskId }: StoredSchedule, now: Date): Html {
  if (lastRunAt === null) return html`<span class="soft">never</span>`
  return lastTaskId === null
    ? shortMoment(lastRunAt, now)
    : html`<a href="${runPath(task, lastTaskId)}">!${shortMoment(lastRunAt, now)}</a>`
}
