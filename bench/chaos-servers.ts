import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { until } from './setup.ts'

const exec = promisify(execFile)

/** A server for this run only, with its own port and folder. The run may kill it at any time. */
export interface ChaosServer {
  readonly name: string
  readonly url: string
  /** Kills the server with -9 (PostgreSQL: immediate shutdown) and starts it again. Resolves when it answers. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface ChaosRabbit extends ChaosServer {
  /** Runs `rabbitmqctl` on this server. @returns its output */
  ctl(...args: string[]): Promise<string>
}

interface Recipe {
  readonly name: string
  readonly url: (port: number) => string
  readonly signal: NodeJS.Signals
  /** Time limit of a start, in milliseconds. */
  readonly patienceMs: number
  prepare(folder: string, port: number): Promise<void>
  start(folder: string, port: number): ChildProcess
}

async function startServer(recipe: Recipe): Promise<ChaosServer & { readonly folder: string; readonly port: number }> {
  const folder = await mkdtemp(join(tmpdir(), `onedyno-chaos-${recipe.name}-`))
  const port = await freePort()
  await recipe.prepare(folder, port)
  let child: ChildProcess
  const start = async () => {
    child = recipe.start(folder, port)
    await until(async () => hasEnded(child) || (await answers(port)), 50, recipe.patienceMs)
    if (hasEnded(child)) throw new Error(`${recipe.name} ended with ${child.signalCode ?? child.exitCode} while it started`)
  }
  const end = async () => {
    if (hasEnded(child)) return
    // Kills the whole group, because RabbitMQ's start script is the parent of the server. PostgreSQL's postmaster ends its
    // children itself.
    process.kill(recipe.signal === 'SIGKILL' ? -(child.pid ?? 0) : (child.pid ?? 0), recipe.signal)
    await once(child, 'close')
  }
  try {
    await start()
  } catch (error) {
    await end()
    await rm(folder, { recursive: true, force: true })
    throw error
  }
  return {
    name: recipe.name,
    url: recipe.url(port),
    folder,
    port,
    async restart() {
      await end()
      await start()
    },
    async stop() {
      await end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const quiet = { stdio: 'ignore', detached: true } as const
const asPostgres = ['--reuid=postgres', '--regid=postgres', '--clear-groups']

/** Returns true if Debian's PostgreSQL is installed and this process may run it as its user. */
export const hasPostgres = (): boolean => existsSync('/usr/lib/postgresql') && process.getuid?.() === 0

export async function startPostgres(): Promise<ChaosServer> {
  const bin = `/usr/lib/postgresql/${(await readdir('/usr/lib/postgresql'))[0]}/bin`
  return startServer({
    name: 'PostgreSQL',
    url: (port) => `postgresql://postgres@127.0.0.1:${port}/postgres`,
    signal: 'SIGQUIT',
    patienceMs: 30_000,
    async prepare(folder) {
      const { stdout } = await exec('id', ['-u', 'postgres'])
      await chown(folder, Number(stdout), Number(stdout))
      await exec(
        'setpriv',
        [...asPostgres, `${bin}/initdb`, '-D', join(folder, 'data'), '-A', 'trust', '-U', 'postgres', '--no-sync'],
        { cwd: folder },
      )
    },
    start: (folder, port) =>
      spawn('setpriv', [...asPostgres, `${bin}/postgres`, '-D', join(folder, 'data'), '-p', String(port), '-k', folder], quiet),
  })
}

const RABBIT = '/usr/lib/rabbitmq/bin'

/** Returns true if Debian's RabbitMQ is installed. */
export const hasRabbit = (): boolean => existsSync(join(RABBIT, 'rabbitmq-server'))

export async function startRabbit(): Promise<ChaosRabbit> {
  const nodeOf = (port: number) => `chaos${port}@localhost`
  const server = await startServer({
    name: 'RabbitMQ',
    url: (port) => `amqp://guest:guest@127.0.0.1:${port}`,
    signal: 'SIGKILL',
    patienceMs: 60_000,
    async prepare(folder, port) {
      await mkdir(join(folder, 'log'))
      await writeFile(join(folder, 'rabbitmq.conf'), `listeners.tcp.1 = 127.0.0.1:${port}\n`)
    },
    start: (folder, port) =>
      spawn(join(RABBIT, 'rabbitmq-server'), [], {
        ...quiet,
        cwd: folder,
        env: {
          PATH: process.env.PATH,
          HOME: folder,
          RABBITMQ_NODENAME: nodeOf(port),
          RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
          RABBITMQ_DIST_PORT: String(port + 1),
          RABBITMQ_MNESIA_BASE: join(folder, 'data'),
          RABBITMQ_LOG_BASE: join(folder, 'log'),
          RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
          RABBITMQ_CONF_ENV_FILE: '/dev/null',
        },
      }),
  })
  return {
    ...server,
    async ctl(...args) {
      // The folder is the server's home. It holds the Erlang cookie that rabbitmqctl needs.
      const env = { PATH: process.env.PATH, HOME: server.folder }
      return (await exec(join(RABBIT, 'rabbitmqctl'), ['-q', '-n', nodeOf(server.port), ...args], { env })).stdout
    },
  }
}

export const startRedis = (): Promise<ChaosServer> =>
  startServer({
    name: 'Redis',
    url: (port) => `redis://127.0.0.1:${port}`,
    signal: 'SIGKILL',
    patienceMs: 10_000,
    prepare: async () => {},
    start: (folder, port) =>
      spawn(
        'redis-server',
        [
          '--port',
          String(port),
          '--bind',
          '127.0.0.1',
          '--dir',
          folder,
          '--appendonly',
          'yes',
          '--appendfsync',
          'always',
          '--save',
          '',
        ],
        quiet,
      ),
  })

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })

/**
 * Returns a free port below the ephemeral range, so that it is still free at the next start. The next port is free too: RabbitMQ
 * uses it for its nodes.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 32_000)
    const servers = await Promise.all([port, port + 1].map((each) => listenOn(each).catch(() => undefined)))
    for (const server of servers) if (server !== undefined) await once(server.close(), 'close')
    if (!servers.includes(undefined)) return port
  }
}

async function listenOn(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
