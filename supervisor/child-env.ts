import type { Instance } from './formation.ts'

type Env = Readonly<Record<string, string | undefined>>

/**
 * Returns defaults for the environment of every child. PYTHONUNBUFFERED makes Python write each line at once, although its
 * stdout is a pipe. If our own output is a terminal, FORCE_COLOR and CLICOLOR_FORCE make children write in colour, although
 * their stdout is a pipe.
 */
export function defaultEnv(colour: boolean): Record<string, string> {
  return { PYTHONUNBUFFERED: '1', ...(colour && { FORCE_COLOR: '1', CLICOLOR_FORCE: '1' }) }
}

/**
 * Returns the environment of one process. Its name is in the variables of Honcho (HONCHO_PROCESS_NAME), foreman (PS) and onedyno
 * (ONEDYNO_PROCESS).
 */
export function childEnv(base: Env, instance: Instance): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(base)) if (value !== undefined) env[name] = value
  env.PORT = String(instance.port)
  env.PS = env.HONCHO_PROCESS_NAME = env.ONEDYNO_PROCESS = instance.name
  return env
}
