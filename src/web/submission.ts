/** Checks a submission of the form or the API: a task, its arguments, and a schedule. Reports all problems at once. */
import type { App } from '../app/app.ts'
import { AppError, type ErrorCode } from '../errors.ts'
import { describeSchedule } from '../schedule/describe.ts'
import { parseSchedule } from '../schedule/parse.ts'
import type { Schedule } from '../schedule/schedule.ts'
import { ScheduleError } from '../schedule/schedule-error.ts'

/** The fields, in their order in the form. */
export const FIELDS = ['task', 'args', 'schedule'] as const
export type Field = (typeof FIELDS)[number]

export interface Suggestion {
  /** A text that the field accepts. */
  readonly text: string
  /** The meaning of the text in words; empty if the text is clear without an explanation. */
  readonly words: string
}

export interface Problem {
  readonly field: Field
  readonly code: ErrorCode
  readonly message: string
  readonly suggestions: readonly Suggestion[]
}

export interface Submission {
  readonly task: string
  readonly args: readonly unknown[]
  /** undefined: run the task once, at once. */
  readonly schedule: Schedule | undefined
}

export type Read =
  | { readonly submission: Submission; readonly problems: readonly [] }
  | { readonly submission: undefined; readonly problems: readonly Problem[] }

export interface ReadContext {
  readonly app: Pick<App, 'tasks' | 'message'>
  /** Time zone for a schedule that names none. */
  readonly timezone: string
  readonly now: Date
}

/** Reads the fields of the form. Arguments and schedule are texts. */
export function readSubmission(
  fields: Readonly<Record<Field, string>> & { readonly repeated: readonly Field[] },
  context: ReadContext,
): Read {
  const problems = fields.repeated.map((field) => problem(field, 'USAGE', `${field} was sent twice: send it once.`))
  const args = parseArguments(fields.args)
  if ('problem' in args) problems.push(args.problem)
  const given = { task: fields.task, args: 'value' in args ? args.value : undefined, schedule: fields.schedule }
  return checkSubmission(given, context, problems)
}

/** Checks parsed values. `args` is undefined if `known` already has a problem with the arguments. */
export function checkSubmission(
  given: { readonly task: string; readonly args: readonly unknown[] | undefined; readonly schedule: string },
  context: ReadContext,
  known: readonly Problem[] = [],
): Read {
  const problems = [...known]
  const taskProblem = checkTask(given.task, given.args, context.app)
  if (taskProblem !== undefined) problems.push(taskProblem)
  const schedule = given.schedule.trim() === '' ? { value: undefined } : readSchedule(given.schedule, context)
  if ('problem' in schedule) problems.push(schedule.problem)
  if (problems.length > 0 || given.args === undefined || 'problem' in schedule)
    return { submission: undefined, problems: inFieldOrder(problems) }
  return { submission: { task: given.task, args: given.args, schedule: schedule.value }, problems: [] }
}

const inFieldOrder = (problems: readonly Problem[]) =>
  [...problems].sort((a, b) => FIELDS.indexOf(a.field) - FIELDS.indexOf(b.field))

/** Translates an error into a problem of a field; undefined if the input did not cause the error. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof ScheduleError) return problem('schedule', error.code, error.message)
  if (!(error instanceof AppError)) return undefined
  if (error.code === 'ARGUMENTS_INVALID' || error.code === 'VALUE_NOT_JSON')
    return problem('args', error.code, sentence(error.message))
  if (error.code === 'TASK_UNKNOWN' || error.code === 'TASK_OPTION_INVALID')
    return problem('task', error.code, sentence(error.message))
  return error.code === 'SCHEDULE_DUPLICATE' ? problem('schedule', error.code, sentence(error.message)) : undefined
}

function checkTask(name: string, args: readonly unknown[] | undefined, app: ReadContext['app']): Problem | undefined {
  if (!app.tasks.has(name)) {
    const message = name === '' ? 'Choose a task.' : `There is no task named ${JSON.stringify(name.slice(0, 100))}.`
    return problem('task', 'TASK_UNKNOWN', message)
  }
  if (args === undefined) return undefined
  try {
    app.message(name, args)
    return undefined
  } catch (error) {
    const found = problemOf(error)
    if (found === undefined) throw error
    return found
  }
}

function parseArguments(text: string): { value: unknown[] } | { problem: Problem } {
  if (text.trim() === '') return { value: [] }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return {
      problem: problem(
        'args',
        'ARGUMENTS_INVALID',
        `This is not JSON: ${(error as Error).message}.${quoteHint(text)}`,
        wrapped(text),
      ),
    }
  }
  if (Array.isArray(value)) return { value }
  return {
    problem: problem('args', 'ARGUMENTS_INVALID', 'Arguments are a JSON array, one element for each parameter.', [
      { text: `[${text.trim()}]`, words: '' },
    ]),
  }
}

const quoteHint = (text: string) => (/'[^']*'/.test(text) ? ' Strings need double quotes.' : '')

/** Returns the suggestion `["hello"]` for the text `hello`. Suggests it only for a plain word or line. */
const wrapped = (text: string): Suggestion[] =>
  /^[^[\]{}"'\n]{1,200}$/.test(text.trim()) ? [{ text: JSON.stringify([text.trim()]), words: '' }] : []

function readSchedule(text: string, { timezone, now }: ReadContext): { value: Schedule } | { problem: Problem } {
  try {
    return { value: parseSchedule(text, { timezone, now }) }
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error
    const suggestions = error.suggestions.map((suggestion) => ({
      text: suggestion,
      words: wordsOf(suggestion, { timezone, now }),
    }))
    return { problem: problem('schedule', error.code, error.message, suggestions) }
  }
}

function wordsOf(text: string, options: { timezone: string; now: Date }): string {
  try {
    return describeSchedule(parseSchedule(text, options))
  } catch {
    return '' // a suggestion that does not parse gets no explanation
  }
}

const problem = (field: Field, code: ErrorCode, message: string, suggestions: readonly Suggestion[] = []): Problem => ({
  field,
  code,
  message,
  suggestions,
})

/** Adds the full stop that messages of the library lack. */
const sentence = (message: string) => (/[.!?]$/.test(message) ? message : `${message}.`)
