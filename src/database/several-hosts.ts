import { Client, type ClientConfig } from 'pg'

export interface DatabaseHost {
  readonly host: string
  readonly port: number
}

/** Timeout of one host while others are left, in milliseconds: a host that drops all packets must not use up the whole time to connect. */
const PROBE_MS = 3000

/**
 * The Client of pg, which knows one host, for a list of hosts as in libpq (PostgreSQL manual, "Specifying Multiple Hosts"). Each connection
 * goes to the first host that accepts writes, as with `target_session_attrs=read-write`, because onedyno needs that. The host of the last
 * connection is tried first. With one host this is the Client of pg.
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

/** Connects, asks whether the server accepts writes, and ends the connection. */
async function assertWritable(host: DatabaseHost, config: ClientConfig): Promise<void> {
  // The host of the URL takes precedence over options, so it is replaced afterwards.
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
