import { html } from 'ghtml'
import type { QueueSetting } from '../../database/queue-settings.ts'
import type { Html, Page } from './layout.ts'

/** A queue with its depth; undefined if the broker did not answer. */
export interface QueueView extends QueueSetting {
  readonly ready: number | undefined
  readonly running: number | undefined
}

export const queuesPage = (queues: readonly QueueView[]): Page => ({
  title: 'Queues',
  current: 'queues',
  main: html`<h1>Queues</h1>
<p>What is set here holds for every worker, within a second. A paused queue still takes messages; a limit of 1 keeps their order.</p>
<div class="scroll"><table class="stack">
<caption class="unseen">Queues, by name</caption>
<thead><tr><th scope="col">Queue</th><th scope="col">Waiting</th><th scope="col">Running</th><th scope="col">At once, over all workers</th><th scope="col">State</th></tr></thead>
<tbody>!${queues.map(row)}</tbody>
</table></div>`,
})

const row = (queue: QueueView): Html => html`<tr>
<th scope="row">${queue.name}</th>
<td data-label="Waiting">${queue.ready ?? 'unknown'}</td>
<td data-label="Running">${queue.running ?? 'unknown'}</td>
<td data-label="At once">!${limitForm(queue)}</td>
<td data-label="State">!${stateForm(queue)}</td>
</tr>`

const limitForm = ({
  name,
  concurrency,
}: QueueView): Html => html`<form class="inline" method="post" action="${pathOf(name)}/limit">
<label class="unseen" for="limit-${name}">Tasks of ${name} at once</label>
<input id="limit-${name}" name="concurrency" inputmode="numeric" size="5" placeholder="no limit" value="${concurrency ?? ''}">
<button class="quiet">Set</button></form>`

const stateForm = ({
  name,
  paused,
}: QueueView): Html => html`<form class="inline" method="post" action="${pathOf(name)}/${paused ? 'resume' : 'pause'}">
${paused ? 'paused' : 'open'} <button class="quiet">${paused ? 'Resume' : 'Pause'}<span class="unseen"> ${name}</span></button></form>`

const pathOf = (name: string) => `/queues/${encodeURIComponent(name)}`
