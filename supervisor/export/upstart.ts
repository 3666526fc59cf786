import { dashed, type ExportedFile, type ExportPlan, environmentOf, shellQuote } from './plan.ts'

/** A job for the app, one for each type, one for each process; a job starts and stops with the one above it. */
export function exportUpstart(plan: ExportPlan): ExportedFile[] {
  const { app, processes } = plan
  const types = [...new Set(processes.map((instance) => instance.type))]
  const below = (job: string) => `start on starting ${job}\nstop on stopping ${job}\n`
  return [
    { path: `${app}.conf`, text: 'start on runlevel [2345]\nstop on runlevel [!2345]\n' },
    ...types.map((type) => ({ path: `${app}-${type}.conf`, text: below(app) })),
    ...processes.map((instance) => ({
      path: `${app}-${dashed(instance)}.conf`,
      text: `${below(`${app}-${instance.type}`)}respawn
kill timeout ${plan.stopSeconds}

${environmentOf(plan, instance)
  .map(([name, value]) => `env ${name}=${shellQuote(value)}`)
  .join('\n')}

setuid ${plan.user}
chdir ${shellQuote(plan.root)}
exec ${plan.shell} -c ${shellQuote(`${instance.command} >> ${shellQuote(`${plan.log}/${dashed(instance)}.log`)} 2>&1`)}
`,
    })),
  ]
}
