import { SupervisorError } from './errors.ts'
import type { Format } from './format.ts'
import { createRecordFormat } from './format-record.ts'
import { createTextFormat, type TextStyle } from './format-text.ts'

export interface FormatOptions {
  /** A name of FORMATS, or a template with {text} in it. */
  readonly format: string
  /** Names of the processes. They determine the width and the colours of the prefix. */
  readonly names: readonly string[]
  readonly tty: boolean
  /** True: colours may be written; see wantsColour(). */
  readonly colour: boolean
  /** True: the platform writes a time before each line, so the prefix needs none. */
  readonly stamped: boolean
  readonly prefix: boolean
  readonly now?: () => number
}

export const FORMATS = ['auto', 'honcho', 'honcho-0.5', 'json', 'logfmt', 'none'] as const

/**
 * Lines above this length are split with a mark. Logplex splits a message at 10,000 bytes, without a mark (Heroku Dev Center,
 * "Logplex"). The format of Honcho, which does not split lines, has a larger limit, to limit the memory.
 */
const PLATFORM_LINE_BYTES = 10_000
const HONCHO_LINE_BYTES = 1 << 20

/** @throws SupervisorError OPTION_INVALID for a format that is neither a name nor a template */
export function createFormat(options: FormatOptions): Format {
  const { format, tty, colour, stamped } = options
  const base = { names: options.names, now: options.now ?? Date.now, lineBytes: PLATFORM_LINE_BYTES }
  const style = (more: Partial<TextStyle>): Format =>
    createTextFormat({ ...base, colour, template: '{time} {name} | {text}', events: 'honcho', readable: false, ...more })
  if (!options.prefix) return style({ template: '{text}', colour: false, readable: tty && format === 'auto' })
  switch (format) {
    case 'auto':
      return style({ template: stamped ? '{name} | {text}' : '{time} {name} | {text}', readable: tty })
    case 'honcho':
      return style({ lineBytes: HONCHO_LINE_BYTES })
    case 'honcho-0.5':
      return style({ lineBytes: HONCHO_LINE_BYTES, colour: true, events: 'honcho-0.5' })
    case 'none':
      return style({ template: '{text}', colour: false })
    case 'json':
    case 'logfmt':
      return createRecordFormat({ ...base, kind: format })
    default:
      if (format.includes('{text}')) return style({ template: format })
      throw new SupervisorError(
        'OPTION_INVALID',
        `--format ${JSON.stringify(format)} is none of ${FORMATS.join(', ')} and has no {text}`,
      )
  }
}

/** Returns true for a terminal, unless NO_COLOR (no-color.org) is set or TERM is "dumb". */
export const wantsColour = (stream: { readonly isTTY?: boolean }, env: Readonly<Record<string, string | undefined>>): boolean =>
  stream.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'

/** Environment variables of platforms that write a time before each line. */
const STAMPING =
  'DYNO RENDER KOYEB_APP_NAME FLY_APP_NAME RAILWAY_ENVIRONMENT K_SERVICE KUBERNETES_SERVICE_HOST JOURNAL_STREAM'.split(' ')

/** Returns true if the platform writes a time before each line. */
export function platformStamps(env: Readonly<Record<string, string | undefined>>): boolean {
  return STAMPING.some((name) => (env[name] ?? '') !== '')
}
