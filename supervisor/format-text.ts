import { SupervisorError } from './errors.ts'
import { type Exit, signalNumber } from './exit.ts'
import type { Add, Format, LifeEvent } from './format.ts'
import { toByteString } from './line-splitter.ts'
import { renderRecord } from './pino-line.ts'

export interface TextStyle {
  /** The template of a line. It contains {text}, and optionally {time}, {iso}, {name}, {type} and {index}. */
  readonly template: string
  readonly names: readonly string[]
  readonly colour: boolean
  /** The version of Honcho whose wording of process events is used. */
  readonly events: 'honcho' | 'honcho-0.5'
  /** True: JSON log records of children are rendered as readable text. */
  readonly readable: boolean
  /** Length in bytes of the longest line, with its prefix. */
  readonly lineBytes: number
  readonly now: () => number
}

/** SGR codes in Honcho's order: cyan, yellow, green, magenta, red, blue, then the same in bold. */
const COLOURS = ['36', '33', '32', '35', '31', '34', '36;1', '33;1', '32;1', '35;1', '31;1', '34;1']
const FIELDS = ['time', 'iso', 'name', 'type', 'index', 'text']
const SYSTEM = 'system'
const NEWLINE = /\n/g

/**
 * Creates a format of text lines. HOT: the prefix is computed at most once per second for each process, and added to a block of
 * lines by one replace.
 */
export function createTextFormat(style: TextStyle): Format {
  const parts = parseTemplate(style.template)
  const timed = /\{(time|iso)\}/.test(style.template)
  const colourOf = new Map<string, string>()
  const cache = new Map<string, { at: number; before: string; after: string }>()
  let width = SYSTEM.length

  const widen = (name: string) => {
    if (!colourOf.has(name)) colourOf.set(name, COLOURS[colourOf.size % COLOURS.length]!)
    if (name.length > width) {
      width = name.length
      cache.clear()
    }
  }
  for (const name of style.names) widen(name)

  const frame = (name: string) => {
    const now = timed ? style.now() : 0
    // {iso} shows milliseconds, {time} shows seconds.
    const at = style.template.includes('{iso}') ? now : Math.floor(now / 1000)
    const known = cache.get(name)
    if (known !== undefined && known.at === at) return known
    const colour = style.colour ? colourOf.get(name) : undefined
    const fill = (part: string) => fillIn(part, name, now, width)
    const before = fill(parts.before)
    const reset = style.events === 'honcho' ? '\x1b[0m' : ''
    const made = {
      at,
      before: colour === undefined || before === '' ? before : `${reset}\x1b[${colour}m${before}\x1b[0m`,
      after: fill(parts.after),
    }
    cache.set(name, made)
    return made
  }

  const write = (name: string, block: string, add: Add) => {
    const { before, after } = frame(name)
    const text = style.readable && block.includes('{"') ? renderLines(block, style.colour) : block
    const between = `${after}\n${before}`
    add(before)
    // "$" is special in a replacement string, so it is escaped.
    add(text.includes('\n') ? text.replace(NEWLINE, between.replaceAll('$', '$$$$')) : text)
    add(`${after}\n`)
  }

  return {
    write,
    widen,
    say(event, add) {
      const [name, text] = style.events === 'honcho' ? honchoWords(event) : honcho05Words(event)
      write(name, toByteString(text), add)
    },
    room(name) {
      const { before, after } = frame(name)
      return Math.max(64, style.lineBytes - before.length - after.length)
    },
  }
}

function parseTemplate(template: string): { before: string; after: string } {
  for (const [, field = ''] of template.matchAll(/\{(\w+)\}/g)) {
    if (!FIELDS.includes(field)) {
      const fields = FIELDS.map((known) => `{${known}}`).join(' ')
      throw new SupervisorError('OPTION_INVALID', `--format: unknown field {${field}}; the fields are ${fields}`)
    }
  }
  const at = template.indexOf('{text}')
  return { before: toByteString(template.slice(0, at)), after: toByteString(template.slice(at + '{text}'.length)) }
}

function fillIn(part: string, name: string, nowMs: number, width: number): string {
  const [type = name, index = ''] = name.split('.')
  return part.replace(/\{(\w+)\}/g, (_, field: string) => {
    if (field === 'time') return new Date(nowMs).toTimeString().slice(0, 8)
    if (field === 'iso') return new Date(nowMs).toISOString()
    if (field === 'type') return type
    if (field === 'index') return index
    return name.padEnd(width)
  })
}

const renderLines = (block: string, colour: boolean) =>
  block
    .split('\n')
    .map((line) => renderRecord(line, colour) ?? line)
    .join('\n')

/** Returns the return code as Python's subprocess module shows it: negative for a signal. */
const returnCode = (exit: Exit) => ('code' in exit ? `rc=${exit.code}` : `rc=-${signalNumber(exit.signal)}`)

function honchoWords(event: LifeEvent): [name: string, text: string] {
  switch (event.tag) {
    case 'started':
      return [SYSTEM, `${event.name} started (pid=${event.pid})`]
    case 'stopped':
      return [SYSTEM, `${event.name} stopped (${returnCode(event.exit)})`]
    case 'signalled':
      return [SYSTEM, `sending ${event.signal} to ${event.name} (pid ${event.pid})`]
    case 'received':
      return [SYSTEM, `${event.signal} received`]
    default:
      return [SYSTEM, event.text]
  }
}

function honcho05Words(event: LifeEvent): [name: string, text: string] {
  if (event.tag === 'started') return [event.name, `started with pid ${event.pid}`]
  if (event.tag === 'stopped') return [event.name, 'process terminated']
  if (event.tag === 'signalled') return [SYSTEM, `sending ${event.signal} to pid ${event.pid}`]
  return honchoWords(event)
}
