import { readerOf } from '../config-values.ts'
import { AppError } from '../errors.ts'
import { OPTIONS, type Option, type OptionName } from '../options.ts'

/**
 * Turns options of a command into the variables that they stand for. Reports all invalid values at once, under the names of the
 * options.
 * @param options variables by option, such as `concurrency: 'CONCURRENCY'`
 * @throws AppError USAGE
 */
export function optionEnv<Name extends string>(
  options: Readonly<Record<Name, OptionName>>,
  values: { readonly [N in NoInfer<Name>]?: string | undefined },
): Record<string, string> {
  const env: Record<string, string> = {}
  const problems: string[] = []
  for (const [name, variable] of Object.entries<OptionName>(options)) {
    const value = values[name as Name]
    if (value === undefined) continue
    env[variable] = value
    // An empty variable counts as not set, but an empty option is a mistake.
    if (value.trim() === '') problems.push(`--${name} "${value}" is empty`)
    else check(variable, value, `--${name}`, problems)
  }
  if (problems.length > 0) throw new AppError('USAGE', problems.join('; '))
  return env
}

function check(variable: OptionName, value: string, said: string, problems: string[]): void {
  const read = readerOf({ [variable]: value }, problems, said)
  const { unit, choices }: Option = OPTIONS[variable]
  if (choices !== undefined) read.choice(variable)
  else if (unit === 'list' && read.list(variable).length === 0) problems.push(`${said}=${JSON.stringify(value)} names nothing`)
  else if (unit !== 'list' && unit !== 'text') read.number(variable)
}
