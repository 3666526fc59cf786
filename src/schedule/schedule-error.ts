import { AppError } from '../errors.ts'

type Details = ErrorOptions & {
  /** Column name of the field at fault (`hour`, `timezone`, …), so that a form can put the message beside it. */
  field?: string
  /** Texts that `parseSchedule` accepts and that may be what was meant, best first. */
  suggestions?: readonly string[]
}

/** A schedule that a person wrote and that cannot be used. Code `SCHEDULE_INVALID`; `suggestions` can be offered with one click. */
export class ScheduleError extends AppError {
  readonly field: string | undefined
  readonly suggestions: readonly string[]

  constructor(message: string, { field, suggestions = [], ...options }: Details = {}) {
    super('SCHEDULE_INVALID', message, options)
    this.field = field
    this.suggestions = suggestions
  }
}
