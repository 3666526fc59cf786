import type { Instance } from './formation.ts'

type Env = Readonly<Record<string, string | undefined>>

/**
 * Defaults for the environment of every child. PYTHONUNBUFFERED stops Python from writing in blocks, which programs do when
 * stdout is a pipe. With FORCE_COLOR and CLICOLOR_FORCE children write in colour if our own output is a terminal, although
 * theirs is a pipe.
 */
export function defaultEnv(colour: boolean): Record<string, string> {
  return { PYTHONUNBUFFERED: '1', ...(colour && { FORCE_COLOR: '1', CLICOLOR_FORCE: '1' }) }
}

/** The environment of one process. Its name is set as in Honcho (HONCHO_PROCESS_NAME), foreman (PS) and onedyno. */
export function childEnv(base: Env, instance: Instance): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(base)) if (value !== undefined) env[name] = value
  env.PORT = String(instance.port)
  env.PS = env.HONCHO_PROCESS_NAME = env.ONEDYNO_PROCESS = instance.name
  return env
}
