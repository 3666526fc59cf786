import { html } from 'ghtml'
import type { Page } from './layout.ts'

/** Returns a page with one message, such as an error. */
export const messagePage = (view: { title: string; message: string; hint?: string; requestId?: string }): Page => ({
  title: view.title,
  main: html`<h1>${view.title}</h1>
<p>${view.message}</p>
!${view.hint ? html`<p class="hint">${view.hint}</p>` : ''}
!${view.requestId === undefined ? '' : html`<p class="hint">Request <code>${view.requestId}</code></p>`}
<p class="links"><a href="/">To the start</a></p>`,
})
