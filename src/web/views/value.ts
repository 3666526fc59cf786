import { stripVTControlCharacters } from 'node:util'
import { html } from 'ghtml'
import type { Html } from './layout.ts'

/** Maximum number of characters of a value that a page shows. The JSON form has the whole value. */
const MAX_SHOWN = 64 * 1024

/**
 * Renders a JSON value for people: a text unchanged, a list or object with long texts part by part, any other value as indented
 * JSON.
 */
export function showValue(value: unknown): Html {
  if (typeof value === 'string') return block(value)
  if (typeof value !== 'object' || value === null || !Object.values(value).some(isLongText))
    return block(JSON.stringify(value, null, 2) ?? '')
  const parts = Object.entries(value).map(([key, part]) => html`<dt>${key}</dt><dd>!${showPart(part)}</dd>`)
  return html`<dl class="parts">!${parts}</dl>`
}

const isLongText = (value: unknown) => typeof value === 'string' && (value.length > 200 || value.includes('\n'))

const showPart = (part: unknown): Html => block(typeof part === 'string' ? part : JSON.stringify(part, null, 2))

function block(text: string): Html {
  const clean = stripVTControlCharacters(text.slice(0, MAX_SHOWN))
  const rest = text.length - MAX_SHOWN
  return html`<pre tabindex="0">${clean}</pre>!${rest > 0 ? html`<p class="hint">${rest} more characters are not shown here.</p>` : ''}`
}
