import { html } from 'ghtml'
import type { State } from '../../app/outcome.ts'
import type { Html } from './layout.ts'

/** A symbol for each state, so that colour is not the only sign. */
const SHAPES: Readonly<Record<State, string>> = {
  PENDING: '○',
  RECEIVED: '◔',
  STARTED: '◑',
  RETRY: '↻',
  SUCCESS: '✓',
  FAILURE: '✕',
  REVOKED: '⊘',
}

export const stateBadge = (state: State): Html =>
  html`<span class="state" data-state="${state}"><span aria-hidden="true">${SHAPES[state]}</span> ${state}</span>`
