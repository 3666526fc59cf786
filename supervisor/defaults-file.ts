import { SupervisorError } from './errors.ts'
import { OPTIONS, type OptionName, type OptionValues } from './options.ts'

/**
 * Parses a `.onedyno` file: `option: value` lines with the long names of options, as in foreman's `.foreman`. `#` starts a
 * comment.
 *
 * @throws SupervisorError DEFAULTS_INVALID
 */
export function parseDefaults(text: string, file: string): OptionValues {
  const values: Record<string, string | boolean> = {}
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue
    const match = /^\s*([a-z-]+)\s*:\s*(.*?)\s*$/.exec(line)
    const refuse = (why: string) =>
      new SupervisorError('DEFAULTS_INVALID', `${file}:${index + 1}: ${why}: ${JSON.stringify(line)}`)
    if (match === null) throw refuse('expected "option: value"')
    const name = match[1] as OptionName
    if (!Object.hasOwn(OPTIONS, name)) throw refuse(`unknown option "${name}"`)
    const value = match[2]!.replace(/^(["'])(.*)\1$/, '$2')
    if (OPTIONS[name].type === 'string') values[name] = value
    else if (value === 'true' || value === 'false') values[name] = value === 'true'
    else throw refuse(`"${name}" must be true or false`)
  }
  return values as OptionValues
}
