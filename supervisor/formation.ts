import { SupervisorError } from './errors.ts'
import { splitList } from './options.ts'
import type { Entry } from './procfile.ts'

/** One process to run: an instance of a Procfile entry. */
export interface Instance {
  /** `web.1` */
  readonly name: string
  /** `web` */
  readonly type: string
  readonly command: string
  /** Value of PORT in the environment of the child. */
  readonly port: number
}

export interface FormationOptions {
  /** Types to start. Empty: all types. */
  readonly only?: readonly string[]
  /**
   * Number of instances by type. The number for `all` applies to every type that is not listed. Default: one instance of each
   * type.
   */
  readonly concurrency?: ReadonlyMap<string, number>
  /** PORT of the first instance of the first type. Default 5000. */
  readonly basePort?: number
  /** True: `web.1` gets the base port even if its line is not the first, because the platform routes requests to this port. */
  readonly webFirst?: boolean
}

/**
 * Plans the instances to run. The port of an instance is the base port, plus 100 for each earlier type in the Procfile, plus 1
 * for each earlier instance of its type. So a process has the same port when it is started alone, unlike in Honcho.
 * @throws SupervisorError PROCESS_UNKNOWN for a type that the Procfile does not have
 */
export function planFormation(entries: readonly Entry[], options: FormationOptions = {}): Instance[] {
  const { only = [], concurrency = new Map(), basePort = 5000, webFirst = false } = options
  const names = entries.map((entry) => entry.name)
  for (const name of [...only, ...concurrency.keys()]) {
    if (name !== 'all' || only.includes(name)) mustBeKnown(name, names)
  }
  const order = webFirst ? names.toSorted((a, b) => Number(b === 'web') - Number(a === 'web')) : names
  return entries
    .filter((entry) => only.length === 0 || only.includes(entry.name))
    .flatMap(({ name, command }) => {
      const count = concurrency.get(name) ?? concurrency.get('all') ?? 1
      const port = basePort + 100 * order.indexOf(name)
      return Array.from({ length: count }, (_, i) => ({ name: `${name}.${i + 1}`, type: name, command, port: port + i }))
    })
}

/** Returns true if `names` contains the instance (`web.1`) or its type (`web`). */
export const isNamed = (instance: string, names: readonly string[]): boolean =>
  names.includes(instance) || names.includes(instance.split('.')[0]!)

/** Checks a name. @throws SupervisorError PROCESS_UNKNOWN with the list of known names */
export function mustBeKnown(name: string, known: readonly string[]): void {
  if (known.includes(name)) return
  throw new SupervisorError('PROCESS_UNKNOWN', `no process "${name}" in the Procfile; its processes are ${known.join(', ')}`)
}

/**
 * Reads `web=2,worker=0` or `all=1`.
 *
 * @throws SupervisorError OPTION_INVALID
 */
export function parseConcurrency(text: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const part of splitList(text)) {
    const match = /^([A-Za-z0-9_-]+)=(\d{1,3})$/.exec(part)
    if (match === null) {
      throw new SupervisorError(
        'OPTION_INVALID',
        `--concurrency ${JSON.stringify(part)} is not NAME=COUNT with a count of 0 to 999`,
      )
    }
    counts.set(match[1]!, Number(match[2]))
  }
  return counts
}
