import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

/** Can this process make network namespaces? It needs root, util-linux and iproute2. */
export const hasNetworks: boolean = ['unshare -n true', 'nsenter --version', 'ip -V'].every((command) => {
  const [program = '', ...args] = command.split(' ')
  return spawnSync(program, args).status === 0
})

export interface TwoHosts {
  readonly nearAddress: string
  /** The program with its arguments that executes a command on a host: `[...on.near, 'ls']`. */
  readonly on: { readonly near: readonly string[]; readonly far: readonly string[] }
  /** Every packet between the hosts vanishes from now on; no connection is closed or refused. */
  part(): void
  close(): void
}

/** Two hosts with a cable between them, in a network of their own that reaches nothing else (addresses: RFC 5737). */
export function createTwoHosts(): TwoHosts {
  const holders: ChildProcess[] = []
  const host = () => {
    const holder = spawn('unshare', ['-n', 'sleep', '600'], { stdio: 'ignore' })
    holders.push(holder)
    // Until `unshare` has made the namespace, the process is in ours.
    until(() => run('readlink', `/proc/${holder.pid}/ns/net`) !== run('readlink', '/proc/self/ns/net'))
    return ['nsenter', '-t', String(holder.pid), '-n']
  }
  const near = host()
  const far = host()
  const ip = (on: readonly string[], command: string) => run(...on, 'ip', ...command.split(' '))
  ip(near, `link add cable type veth peer name cable netns ${holders[1]?.pid}`)
  for (const [on, address] of [
    [near, '192.0.2.1/24'],
    [far, '192.0.2.2/24'],
  ] as const) {
    ip(on, 'link set lo up')
    ip(on, `addr add ${address} dev cable`)
    ip(on, 'link set cable up')
  }
  return {
    nearAddress: '192.0.2.1',
    on: { near, far },
    part() {
      // Frames for a hardware address that nobody has are dropped without an answer.
      ip(near, 'neigh replace 192.0.2.2 lladdr 02:00:00:00:00:99 dev cable nud permanent')
      ip(far, 'neigh replace 192.0.2.1 lladdr 02:00:00:00:00:99 dev cable nud permanent')
    },
    close() {
      for (const holder of holders) holder.kill('SIGKILL')
    },
  }
}

function run(...command: string[]): string {
  const [program = '', ...args] = command
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`)
  return stdout
}

function until(ask: () => boolean): void {
  const giveUpAt = Date.now() + 5000
  while (!ask()) if (Date.now() > giveUpAt) throw new Error('no network namespace')
}
