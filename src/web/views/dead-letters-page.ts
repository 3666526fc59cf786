import { html } from 'ghtml'
import type { DeadLetter } from '../../database/dead-letters.ts'
import { runPath } from '../paths.ts'
import type { Html, Page } from './layout.ts'
import { shortMoment } from './moment.ts'

export interface DeadLettersView {
  readonly deadLetters: readonly DeadLetter[]
  /** Id of the row before which the next page begins; undefined if this is the last page. */
  readonly next: string | undefined
  /** Numbers of dead letters that the last action requeued or deleted. */
  readonly done: { readonly requeued: string | undefined; readonly dropped: string | undefined }
  readonly now: Date
}

export const deadLettersPage = ({ deadLetters, next, done, now }: DeadLettersView): Page => ({
  title: 'Dead letters',
  current: 'dead-letters',
  main: html`<h1>Dead letters</h1>
!${notice(done)}
<p>Messages that no worker can run: their task rejected them, their workers died with them, no worker has their task, or
they cannot be read. A requeued message runs again under its id.</p>
!${deadLetters.length === 0 ? html`<div class="card"><p>There are none.</p></div>` : html`!${table(deadLetters, now)}!${forAll()}`}
!${next === undefined ? '' : html`<p class="links"><a href="/dead-letters?before=${next}">Earlier ones</a></p>`}`,
})

function notice({ requeued, dropped }: DeadLettersView['done']): Html {
  const count = requeued ?? dropped
  if (count === undefined) return ''
  return html`<p class="notice good" role="status">${count} ${requeued === undefined ? 'deleted' : 'requeued'}.</p>`
}

const table = (deadLetters: readonly DeadLetter[], now: Date): Html => html`<div class="scroll"><table class="stack">
<caption class="unseen">Dead letters, newest first</caption>
<thead><tr><th scope="col">Task</th><th scope="col">Queue</th><th scope="col">When</th><th scope="col" class="wide">Why</th><th scope="col"><span class="unseen">Actions</span></th></tr></thead>
<tbody>!${deadLetters.map((letter) => row(letter, now))}</tbody>
</table></div>`

const row = (letter: DeadLetter, now: Date): Html => html`<tr>
<th scope="row">!${taskOf(letter)}</th>
<td data-label="Queue">${letter.queue}</td>
<td data-label="When">!${shortMoment(letter.diedAt, now)}</td>
<td data-label="Why"><div>${letter.reason}!${
  letter.body === null
    ? ''
    : html`<details><summary>Message</summary><pre tabindex="0">${letter.headers ?? '{}'}
${letter.body}</pre></details>`
}</div></td>
<td><div class="actions">!${letter.taskId ? action(`/dead-letters/${letter.id}/requeue`, 'Requeue') : ''}!${action(`/dead-letters/${letter.id}/drop`, 'Delete')}</div></td>
</tr>`

function taskOf({ task, taskId }: DeadLetter): Html {
  if (task === null || !taskId) return html`${task ?? '(no task)'} <span class="soft">no id</span>`
  return html`<a href="${runPath(task, taskId)}">${task}</a> <code class="soft">${taskId}</code>`
}

const forAll = (): Html => html`<div class="actions">!${action('/dead-letters/requeue', 'Requeue all')}
<details class="confirm"><summary>Delete all…</summary><p>Deleted messages cannot be restored.</p>!${action('/dead-letters/drop', 'Delete all', 'danger')}</details></div>`

const action = (path: string, text: string, kind = 'quiet'): Html =>
  html`<form method="post" action="${path}"><button class="${kind}">${text}</button></form>`
