import { dashed, type ExportedFile, type ExportPlan, environmentOf, shellQuote } from './plan.ts'

/** Escapes %, because supervisord expands %(name)s. */
const percent = (text: string) => text.replaceAll('%', '%%')

/**
 * Matches text that would end a line of the file or begin a comment, even inside quotes (supervisor 4, options.py
 * UnhosedConfigParser).
 */
const BREAKS_LINE = /[\r\n]|\s[;#]/

/** Writes one file with a program for each process and a group for the app. */
export function exportSupervisord(plan: ExportPlan): ExportedFile[] {
  const { app, processes } = plan
  const programs = processes.map((instance) => {
    const name = `${app}-${dashed(instance)}`
    const variables = environmentOf(plan, instance).map(([key, value]) => ({ key, value, quoted: quote(value) }))
    const plain = variables.filter(({ quoted }) => quoted !== undefined).map(({ key, quoted }) => `${key}=${quoted}`)
    const odd = variables.filter(({ quoted }) => quoted === undefined).map(({ key, value }) => `${key}=${shellQuote(value)}`)
    const script = odd.length === 0 ? instance.command : `export ${odd.join(' ')}; ${instance.command}`
    return `[program:${name}]
command=${plan.shell} -c ${percent(shellQuote(BREAKS_LINE.test(script) ? inOneLine(script) : script))}
directory=${percent(plan.root)}
environment=${percent(plain.join(','))}
user=${plan.user}
autostart=true
autorestart=true
stopsignal=TERM
stopasgroup=true
killasgroup=true
stopwaitsecs=${plan.stopSeconds}
stdout_logfile=${percent(plan.log)}/${dashed(instance)}.log
redirect_stderr=true
`
  })
  const group = `[group:${app}]\nprograms=${processes.map((instance) => `${app}-${dashed(instance)}`).join(',')}\n`
  return [{ path: `${app}.conf`, text: [...programs, group].join('\n') }]
}

/**
 * Quotes a value. Returns undefined if the value cannot be quoted, because supervisord has no escapes and strips all quotes from
 * both ends (supervisor 4, datatypes.py dict_of_key_value_pairs). Then the shell command sets the variable instead.
 */
function quote(value: string): string | undefined {
  if (BREAKS_LINE.test(value) || /^["']|["']$/.test(value)) return undefined
  if (!value.includes('"')) return `"${value}"`
  return value.includes("'") ? undefined : `'${value}'`
}

/** Returns a script of one line that prints `script` with printf(1) and evaluates the output. */
function inOneLine(script: string): string {
  const bytes = [...Buffer.from(script)].map((byte) => {
    const char = String.fromCharCode(byte)
    return /[\w /.,:=]/.test(char) ? char : `\\${byte.toString(8).padStart(3, '0')}`
  })
  return `eval "$(printf "${bytes.join('')}")"`
}
