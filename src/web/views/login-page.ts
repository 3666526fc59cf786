import { html } from 'ghtml'
import { errorSummary } from './error-summary.ts'
import type { Page } from './layout.ts'

export const loginPage = ({ next, problem }: { next: string; problem?: string }): Page => ({
  title: problem === undefined ? 'Sign in' : 'Error: Sign in',
  main: html`<h1>Sign in</h1>
!${problem === undefined ? '' : errorSummary('You are not signed in', [{ text: problem, fieldId: 'password' }])}
<form method="post" action="/login" class="card">
<input type="hidden" name="next" value="${next}">
<div class="field">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required aria-describedby="password-hint"!${problem === undefined ? ' autofocus' : ' aria-invalid="true"'}>
<p class="hint" id="password-hint">The value of <code>CONSOLE_PASSWORD</code>.</p>
</div>
<button class="primary">Sign in</button>
</form>`,
})
