import { type CeleryProcesses, createCeleryProcesses } from './celery-process.ts'

/** Starts Celery on the virtual host of `url`, with results over rpc:// unless `env` overrides it. */
export const createCeleryAmqp = (url: string, env: Record<string, string> = {}): CeleryProcesses =>
  createCeleryProcesses({ BROKER: url, BACKEND: 'rpc://', ...env })
