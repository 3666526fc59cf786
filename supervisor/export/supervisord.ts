import { dashed, type ExportedFile, type ExportPlan, environmentOf, shellQuote } from './plan.ts'

/** supervisord expands %(name)s and reads environment values as a shell would. */
const percent = (text: string) => text.replaceAll('%', '%%')
const quote = (text: string) => `"${percent(text.replace(/["\\]/g, '\\$&'))}"`

/** One file with a program for each process and a group for the app. */
export function exportSupervisord(plan: ExportPlan): ExportedFile[] {
  const { app, processes } = plan
  const programs = processes.map((instance) => {
    const name = `${app}-${dashed(instance)}`
    const environment = environmentOf(plan, instance).map(([key, value]) => `${key}=${quote(value)}`)
    return `[program:${name}]
command=${plan.shell} -c ${percent(shellQuote(instance.command))}
directory=${percent(plan.root)}
environment=${environment.join(',')}
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
