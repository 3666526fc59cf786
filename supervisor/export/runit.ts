import { dashed, type ExportedFile, type ExportPlan, environmentOf, shellQuote } from './plan.ts'

/** Writes a service folder for each process, with its environment in files for chpst(8) -e and a svlogd logger. */
export function exportRunit(plan: ExportPlan): ExportedFile[] {
  return plan.processes.flatMap((instance) => {
    const folder = `${plan.app}-${dashed(instance)}`
    const user = shellQuote(plan.user)
    const log = shellQuote(`${plan.log}/${dashed(instance)}`)
    const run = `#!/bin/sh
here=$(pwd)
cd ${shellQuote(plan.root)} || exit 111
exec 2>&1
exec chpst -u ${user} -e "$here/env" ${plan.shell} -c ${shellQuote(instance.command)}
`
    const logger = `#!/bin/sh\nmkdir -p ${log} && chown ${user} ${log}\nexec chpst -u ${user} svlogd -tt ${log}\n`
    return [
      { path: `${folder}/run`, text: run, executable: true },
      { path: `${folder}/log/run`, text: logger, executable: true },
      // A newline inside a value is written as NUL, which chpst turns back into a newline.
      ...environmentOf(plan, instance).map(([name, value]) => ({
        path: `${folder}/env/${name}`,
        text: value.replaceAll('\n', '\0'),
      })),
    ]
  })
}
