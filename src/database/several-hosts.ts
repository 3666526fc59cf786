import { Client, type ClientConfig } from 'pg'

export interface DatabaseHost {
  readonly host: string
  readonly port: number
}

/**
 * Time limit in milliseconds for one host while further hosts are left: a host that drops all packets must not use up the whole
 * time to connect.
 */
const PROBE_MS = 3000

/**
 * Returns a Client of pg for several hosts, as libpq connects to them (PostgreSQL manual, "Specifying Multiple Hosts"). Each
 * connection goes to the first host that accepts writes, as with `target_session_attrs=read-write`, because onedyno writes. The
 * host of the last connection is tried first. For one host, returns the Client of pg itself.
 */
export function clientOf(hosts: readonly DatabaseHost[]): typeof Client {
  if (hosts.length < 2) return Client
  let preferred = 0
  const inTurn = () => hosts.map((_, at) => (preferred + at) % hosts.length)

  const chooseHost = async (config: ClientConfig): Promise<DatabaseHost> => {
    const reasons: string[] = []
    let cause: unknown
    for (const at of inTurn()) {
      const host = hosts[at]!
      try {
        await assertWritable(host, { ...config, connectionTimeoutMillis: PROBE_MS })
        preferred = at
        return host
      } catch (error) {
        cause = error
        reasons.push(`${host.host}:${host.port}: ${(error as Error).message || (error as NodeJS.ErrnoException).code}`)
      }
    }
    throw Object.assign(new Error(`no host accepts writes (${reasons.join('; ')})`, { cause }), {
      code: (cause as NodeJS.ErrnoException).code,
    })
  }

  return class extends Client {
    readonly #config: ClientConfig

    constructor(config: ClientConfig) {
      super(config)
      this.#config = config
    }

    override connect(): Promise<this>
    override connect(callback: (error: Error) => void): void
    override connect(callback?: (error: Error) => void): Promise<this> | void {
      const connecting = chooseHost(this.#config).then((host) => {
        Object.assign(this, host)
        return super.connect()
      })
      if (callback === undefined) return connecting as unknown as Promise<this>
      connecting.then(() => callback(undefined as unknown as Error), callback)
    }
  } as typeof Client
}

/** Connects, checks that the server accepts writes, and ends the connection. */
async function assertWritable(host: DatabaseHost, config: ClientConfig): Promise<void> {
  // In pg the host of the URL takes precedence over options, so the host is set after the constructor.
  const client = Object.assign(new Client(config), host)
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query(
      "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS read_only",
    )
    if (rows[0].read_only === true) throw Object.assign(new Error('is read-only'), { code: 'ECONNREFUSED' })
  } finally {
    await client.end().catch(() => {})
  }
}
