import { html } from 'ghtml'
import type { Html } from './layout.ts'

/** Returns a list of problems for the top of the page, which gets the focus when the page opens. Each line links to its field. */
export const errorSummary = (
  title: string,
  items: readonly { readonly text: string; readonly fieldId?: string }[],
): Html => html`<div
class="notice bad" role="alert" tabindex="-1" autofocus aria-labelledby="summary-title">
<h2 id="summary-title">${title}</h2>
<ul>!${items.map(({ text, fieldId }) => (fieldId === undefined ? html`<li>${text}</li>` : html`<li><a href="#${fieldId}">${text}</a></li>`))}</ul>
</div>`
