import { html } from 'ghtml'
import type { App } from '../../app/app.ts'
import { argumentName } from '../../app/calls/arguments.ts'
import type { Task } from '../../app/task.ts'
import type { Failure } from '../failure.ts'
import { FIELDS, type Field, type Problem, type Suggestion } from '../submission.ts'
import { errorSummary } from './error-summary.ts'
import type { Html, Page } from './layout.ts'

export interface TaskFormView {
  readonly tasks: App['tasks']
  readonly values: Readonly<Record<Field, string>>
  readonly problems: readonly Problem[]
  /** A failure that is not the fault of a field. */
  readonly failure?: Failure
  /** Time zone for a schedule that names none. */
  readonly timezone: string
}

export function taskFormPage(view: TaskFormView): Page {
  const { problems, failure } = view
  const title = problems.length > 0 || failure !== undefined ? 'Error: Run a task' : 'Run a task'
  const summary =
    failure !== undefined
      ? errorSummary(failure.title, [{ text: `${failure.message} ${failure.hint} What you typed is kept below.` }])
      : problems.length > 0
        ? errorSummary(
            'Please look at this again',
            problems.map(({ message, field }) => ({ text: message, fieldId: field })),
          )
        : ''
  return {
    title,
    current: 'run',
    main: html`<h1>Run a task</h1>
!${summary}
!${form(view)}
!${suggestionForms(view)}
!${taskList(view.tasks)}`,
  }
}

const form = ({ tasks, values, problems, timezone }: TaskFormView): Html => {
  const chosen = tasks.get(values.task)
  return html`<form method="post" action="/" class="card" id="task-form">
<div class="field">
<label for="task">Task</label>
<select id="task" name="task" aria-describedby="task-hint!${problemIds('task', problems)}"!${invalid('task', problems)}>
!${[...tasks.values()].map((task) => option(task, task.name === values.task))}
</select>
!${problemsAt('task', problems)}
<p class="hint" id="task-hint" data-of="description">${chosen?.options.description ?? ''}</p>
</div>
<div class="field">
<label for="args">Arguments</label>
<textarea id="args" name="args" rows="3" spellcheck="false" autocapitalize="off" autocomplete="off" aria-describedby="args-hint!${problemIds('args', problems)}"!${invalid('args', problems)}>
${values.args}</textarea>
!${problemsAt('args', problems)}
<p class="hint" id="args-hint">A JSON array, such as <code data-of="example">${exampleOf(chosen)}</code></p>
</div>
<div class="field">
<label for="schedule">Schedule <span class="soft">(optional)</span></label>
<input id="schedule" name="schedule" value="${values.schedule}" spellcheck="false" autocapitalize="off" autocomplete="off" aria-describedby="schedule-hint!${problemIds('schedule', problems)}"!${invalid('schedule', problems)}>
!${problemsAt('schedule', problems)}
<p class="hint" id="schedule-hint">Empty: run once, now. Else an interval, such as <code>15 minutes</code>, or a pattern, such as <code>*/15 *</code>
(minute and hour) or <code>0 9 * * 1-5</code> (a line of crontab). Times are in ${timezone} unless a zone follows: <code>0 9 * * 1-5 Europe/Berlin</code>.</p>
</div>
<button class="primary">Run</button>
</form>`
}

const option = (task: Task, isChosen: boolean): Html =>
  html`<option value="${task.name}" data-example="${exampleOf(task)}" data-description="${task.options.description ?? ''}"!${isChosen ? ' selected' : ''}>${task.name}</option>`

/** Returns example arguments of a task as JSON. For a task without an example, returns the defaults of its parameters. */
export function exampleOf(task: Task | undefined): string {
  if (task === undefined) return '[]'
  const { example, args = [] } = task.options
  return example === undefined
    ? JSON.stringify(args.map((schema) => (schema as { default?: unknown }).default ?? null))
    : JSON.stringify(example)
}

const of = (field: Field, problems: readonly Problem[]) => problems.filter((problem) => problem.field === field)
const problemIds = (field: Field, problems: readonly Problem[]): Html =>
  of(field, problems).length > 0 ? ` ${field}-problem` : ''
const invalid = (field: Field, problems: readonly Problem[]): Html =>
  of(field, problems).length > 0 ? ' aria-invalid="true"' : ''

function problemsAt(field: Field, problems: readonly Problem[]): Html {
  const here = of(field, problems)
  if (here.length === 0) return ''
  const suggestions = suggestionsAt(field, problems)
  return html`<div class="problem" id="${field}-problem">
!${here.map(({ message }) => html`<p>${message}</p>`)}
!${suggestions.length > 0 ? html`<p>Choose what you meant:</p><ul class="choices">!${suggestions.map((suggestion, index) => choice(suggestion, `${field}-choice-${index}`))}</ul>` : ''}
</div>`
}

/**
 * Returns a button that belongs to a form of its own: Enter in a field presses the first button of the same form, which must be
 * the submit button at the end.
 */
const choice = ({ text, words }: Suggestion, formId: string): Html =>
  html`<li><button form="${formId}"><code>${text}</code>!${words === '' ? '' : html` <span>${words}</span>`}</button></li>`

/** Returns the fields of the submission as hidden inputs, with one field replaced by the suggestion. */
function suggestionForms({ values, problems }: TaskFormView): Html {
  const formWith = (
    replaced: Field,
    text: string,
    index: number,
  ): Html => html`<form method="post" action="/" id="${replaced}-choice-${index}" hidden>
!${FIELDS.map((field) => html`<input type="hidden" name="${field}" value="${field === replaced ? text : values[field]}">`)}</form>`
  return FIELDS.flatMap((field) => suggestionsAt(field, problems).map(({ text }, index) => formWith(field, text, index))).join('')
}

const suggestionsAt = (field: Field, problems: readonly Problem[]) =>
  of(field, problems).flatMap(({ suggestions }) => suggestions)

const taskList = (tasks: App['tasks']): Html => html`<section aria-labelledby="tasks-title">
<h2 id="tasks-title">Tasks</h2>
<dl class="tasks">
!${[...tasks.values()].map((task) => html`<div><dt><a href="/?task=${encodeURIComponent(task.name)}"><code>${signature(task)}</code></a></dt><dd>${task.options.description ?? ''}</dd></div>`)}
</dl>
</section>`

const signature = ({ name, options }: Task): string =>
  options.args === undefined
    ? name
    : `${name}(${options.args.map((_schema, index) => argumentName(options.args!, index)).join(', ')})`
