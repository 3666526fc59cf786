import { dashed, type ExportedFile, type ExportPlan, environmentOf } from './plan.ts'

/** Quotes a value according to systemd.syntax(7): C escapes in double quotes. % is doubled, because it starts a specifier. */
const quote = (text: string) =>
  `"${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\t', '\\t').replaceAll('%', '%%')}"`

/** Writes one target for the app and one service for each process. */
export function exportSystemd(plan: ExportPlan): ExportedFile[] {
  const { app, processes } = plan
  const unit = (instance: ExportPlan['processes'][number]) => `${app}-${dashed(instance)}.service`
  const target = `[Unit]
Description=${app}
Wants=${processes.map(unit).join(' ')}

[Install]
WantedBy=multi-user.target
`
  const services = processes.map((instance) => ({
    path: unit(instance),
    text: `[Unit]
Description=${app} ${instance.name}
PartOf=${app}.target
After=network.target

[Service]
Type=simple
User=${plan.user}
WorkingDirectory=${plan.root.replaceAll('%', '%%')}
${environmentOf(plan, instance)
  .map(([name, value]) => `Environment=${quote(`${name}=${value}`)}`)
  .join('\n')}
ExecStart=${plan.shell} -c ${quote(instance.command).replaceAll('$', '$$$$')}
Restart=always
RestartSec=1
RestartPreventExitStatus=78
KillMode=mixed
TimeoutStopSec=${plan.stopSeconds}
SyslogIdentifier=${app}-${dashed(instance)}

[Install]
WantedBy=${app}.target
`,
  }))
  return [{ path: `${app}.target`, text: target }, ...services]
}
