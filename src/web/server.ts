import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { aborted } from '../concurrency/sleep.ts'
import type { Config } from '../config.ts'
import type { Database } from '../database/database.ts'
import { checkSchema } from '../database/migrate.ts'
import { checkWritable } from '../database/writable.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { createWebApp } from './app.ts'
import { accessOf } from './security/guard.ts'
import type { WebDependencies } from './web-context.ts'

export interface RunWebOptions extends Omit<WebDependencies, 'checkReady' | 'clock'> {
  readonly database: Database
  /** Aborts when the process has to stop. */
  readonly signal: AbortSignal
  /** Called when the server listens. The URL contains the real port, also if PORT is 0. */
  readonly onListening?: (url: string) => void
}

/** Milliseconds that the process needs after the last answer for closing its database connections. */
const CLOSING_MS = 2000

/**
 * Serves until `signal` aborts. Then accepts no more connections, closes idle connections, lets open requests end, and cuts the
 * remaining requests 2 s before the platform would kill the process.
 * @throws AppError PORT_IN_USE, CONFIG_INVALID
 */
export async function runWeb(options: RunWebOptions): Promise<void> {
  const { config, log, database, signal } = options
  const checkReady = async () => {
    await database.ping()
    await checkWritable(database)
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
    // `::` means every address, but a container without IPv6 cannot listen on it.
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

/** Closes the server. Cuts connections that still wait for an answer after `graceMs` milliseconds. */
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
