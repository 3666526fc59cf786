import type { Instance } from './formation.ts'

type Env = Readonly<Record<string, string | undefined>>

/**
 * What every child gets unless its environment says otherwise. Programs see a pipe and so hold their output back in blocks;
 * Python can be told not to. They see no terminal either, so when ours is one, those that ask FORCE_COLOR or CLICOLOR_FORCE
 * write in colour.
 */
export function defaultEnv(colour: boolean): Record<string, string> {
  return { PYTHONUNBUFFERED: '1', ...(colour && { FORCE_COLOR: '1', CLICOLOR_FORCE: '1' }) }
}

/** The environment of one process: its name in Honcho's (HONCHO_PROCESS_NAME), foreman's (PS) and our own way. */
export function childEnv(base: Env, instance: Instance): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(base)) if (value !== undefined) env[name] = value
  env.PORT = String(instance.port)
  env.PS = env.HONCHO_PROCESS_NAME = env.ONEDYNO_PROCESS = instance.name
  return env
}
