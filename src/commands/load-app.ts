import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type App, createRegistry } from '../app/app.ts'
import { AppError } from '../errors.ts'

/**
 * Loads the application of `--app FILE`: the module's export `app` or its default export. Without a file, returns an application
 * with only the shipped tasks.
 * @throws AppError APP_NOT_LOADED with the reason
 */
export async function loadApp(file: string | undefined): Promise<App> {
  if (file === undefined)
    return createRegistry(() => Promise.reject(new AppError('APP_NOT_CONNECTED', 'the application has no connections yet')))
  const loaded = await importModule(file)
  const app = loaded.app ?? loaded.default
  if (isApp(app)) return app
  throw new AppError('APP_NOT_LOADED', `${file} exports ${Object.keys(loaded).join(', ') || 'nothing'}, but no application`)
}

async function importModule(file: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>
  } catch (cause) {
    throw new AppError('APP_NOT_LOADED', `${file} cannot be loaded: ${(cause as Error).message}`, { cause })
  }
}

/** Checks the shape and not the class, because the application may come from another copy of this package. */
const isApp = (value: unknown): value is App =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as App).sendTask === 'function' &&
  typeof (value as App).connect === 'function'
