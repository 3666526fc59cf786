/**
 * All failures of the supervisor that a person can cause and fix. Any other error is a bug and keeps its stack. The exit
 * statuses are the same as Honcho's (2 for an invalid command line, 1 for all other errors), so that scripts can switch to
 * onedyno.
 */
export const SUPERVISOR_ERRORS = {
  SUPERVISOR_USAGE: { exit: 2, hint: 'See "onedyno help" for commands and options.' },
  PROCFILE_MISSING: { exit: 1, hint: 'Name the file with -f, or its folder with -d.' },
  PROCFILE_INVALID: {
    exit: 1,
    hint: 'Each line is "name: command"; a comment starts with #. "onedyno check" reads the file without starting it.',
  },
  PROCESS_UNKNOWN: { exit: 1, hint: 'Use a process name of the Procfile.' },
  ENV_FILE_INVALID: { exit: 1, hint: 'Each line is NAME=value; see "The .env file" in docs/cli.md.' },
  DEFAULTS_INVALID: { exit: 1, hint: 'Each line of .onedyno is "option: value" with the long name of an option of "start".' },
  OPTION_INVALID: { exit: 2, hint: 'See "onedyno help" for what each option takes.' },
  CHILD_NOT_STARTED: { exit: 127, hint: 'Check that the program exists, is executable and is on the PATH.' },
  CONTROL_UNREACHABLE: { exit: 1, hint: 'Is "onedyno start" running in this folder? Name another with -d.' },
  CONTROL_REFUSED: { exit: 1, hint: 'See "onedyno ps" for the processes and their states.' },
  EXPORT_FAILED: { exit: 1, hint: 'The location must be a folder that you may write to.' },
} as const satisfies Record<string, { exit: number; hint: string }>

export type SupervisorErrorCode = keyof typeof SUPERVISOR_ERRORS

export class SupervisorError extends Error {
  readonly code: SupervisorErrorCode
  /** Exit status of the command. */
  readonly exit: number
  /** The next step of the user, in one sentence. */
  readonly hint: string

  constructor(code: SupervisorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SupervisorError'
    this.code = code
    this.exit = SUPERVISOR_ERRORS[code].exit
    this.hint = SUPERVISOR_ERRORS[code].hint
  }
}
