import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import type { Database } from '../database/database.ts'
import { checkSchema } from '../database/migrate.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { aborted } from '../retry.ts'
import { createWebApp } from './app.ts'
import { accessOf } from './security/guard.ts'
import type { WebDependencies } from './web-context.ts'

export interface RunWebOptions extends Omit<WebDependencies, 'checkReady' | 'clock'> {
  readonly database: Database
  /** Aborts when the process is asked to stop. */
  readonly signal: AbortSignal
  /** Told once it listens; the port is the real one where 0 was asked for. */
  readonly onListening?: (url: string) => void
}

/** What the process needs after the last answer to close its database connections, in milliseconds. */
const CLOSING_MS = 2000

/**
 * Serves until `signal` aborts; then takes no more connections, closes those that are idle, lets the others end, and cuts what is left 2 s before
 * the process would be killed.
 * @throws AppError PORT_IN_USE, CONFIG_INVALID
 */
export async function runWeb(options: RunWebOptions): Promise<void> {
  const { config, log, database, signal } = options
  const checkReady = async () => {
    await database.ping()
    await checkSchema(database)
  }
  const server = createWebApp({ ...options, checkReady })
  try {
    const { port } = await listen(server, config)
    const url = `http://${config.host.includes(':') || config.host === '0.0.0.0' ? 'localhost' : config.host}:${port}`
    log.info({ url, console: accessOf(config) }, 'web listens')
    options.onListening?.(url)
    await aborted(signal)
  } finally {
    await close(server, Math.max(0, config.shutdownMs - CLOSING_MS), log)
  }
}

async function listen(server: FastifyInstance, { host, port }: Config): Promise<AddressInfo> {
  try {
    await server.listen({ host, port })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    // A container without IPv6 has no `::`; every address is meant.
    if (host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'))
      return listen(server, { host: '0.0.0.0', port } as Config)
    if (code === 'EADDRINUSE') throw new AppError('PORT_IN_USE', `port ${port} of ${host} is taken by another program`, { cause })
    if (code === 'EACCES')
      throw new AppError('CONFIG_INVALID', `PORT=${port} is not allowed for this user: ${message}`, { cause })
    if (['EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN'].includes(code ?? ''))
      throw new AppError('CONFIG_INVALID', `HOST=${host} is no address of this machine`, { cause })
    throw cause
  }
  return server.server.address() as AddressInfo
}

/** Whoever still waits for an answer after `graceMs` milliseconds is cut off. */
async function close(server: FastifyInstance, graceMs: number, log: Log): Promise<void> {
  const cut = setTimeout(() => {
    log.warn({ afterMs: graceMs }, 'open requests cut off')
    server.server.closeAllConnections()
  }, graceMs)
  try {
    await server.close()
  } finally {
    clearTimeout(cut)
  }
}
