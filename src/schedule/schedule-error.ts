import { AppError } from '../errors.ts'

type Details = ErrorOptions & {
  /** Column name of the invalid field (`hour`, `timezone`, …). A form shows the message next to this field. */
  field?: string
  /** Texts that `parseSchedule` accepts and that the person may have meant, best first. */
  suggestions?: readonly string[]
}

/**
 * The error for a schedule that a person wrote and that is not valid. Its code is `SCHEDULE_INVALID`; a page can offer
 * `suggestions` as links.
 */
export class ScheduleError extends AppError {
  readonly field: string | undefined
  readonly suggestions: readonly string[]

  constructor(message: string, { field, suggestions = [], ...options }: Details = {}) {
    super('SCHEDULE_INVALID', message, options)
    this.field = field
    this.suggestions = suggestions
  }
}
