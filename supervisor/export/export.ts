import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { SupervisorError } from '../errors.ts'
import type { ExportedFile, ExportPlan } from './plan.ts'
import { exportRunit } from './runit.ts'
import { exportSupervisord } from './supervisord.ts'
import { exportSystemd } from './systemd.ts'

const EXPORTERS: Record<string, (plan: ExportPlan) => ExportedFile[]> = {
  systemd: exportSystemd,
  supervisord: exportSupervisord,
  runit: exportRunit,
}

export const EXPORT_FORMATS: readonly string[] = Object.keys(EXPORTERS)

/**
 * Writes the files with which another process manager runs the same processes. Returns the paths of the files.
 * @throws SupervisorError OPTION_INVALID for an unknown format, EXPORT_FAILED
 */
export function writeExport(format: string, location: string, plan: ExportPlan): string[] {
  const exporter = Object.hasOwn(EXPORTERS, format) ? EXPORTERS[format] : undefined
  if (exporter === undefined) {
    throw new SupervisorError(
      'OPTION_INVALID',
      `cannot export to ${JSON.stringify(format)}; the formats are ${EXPORT_FORMATS.join(', ')}`,
    )
  }
  return exporter(plan).map(({ path, text, executable }) => {
    const full = join(location, path)
    try {
      mkdirSync(dirname(full), { recursive: true })
      // Only the owner may read the files, because the environment may contain secrets.
      writeFileSync(full, text, { mode: executable === true ? 0o700 : 0o600 })
    } catch (cause) {
      throw new SupervisorError('EXPORT_FAILED', `cannot write ${full}: ${(cause as NodeJS.ErrnoException).code}`, { cause })
    }
    return full
  })
}

export const defaultApp = (root: string): string => basename(root).replace(/[^A-Za-z0-9_-]/g, '-') || 'app'
