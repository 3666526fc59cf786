import { type CeleryProcesses, createCeleryProcesses } from './celery-process.ts'

/** Real Celery on the virtual host of `url`, with results by rpc:// unless `env` says otherwise. */
export const createCeleryAmqp = (url: string, env: Record<string, string> = {}): CeleryProcesses =>
  createCeleryProcesses({ BROKER: url, BACKEND: 'rpc://', ...env })
