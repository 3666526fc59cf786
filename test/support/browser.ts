import { existsSync } from 'node:fs'
import type { Browser } from 'playwright-core'

/** Usual paths on Debian, Ubuntu, Fedora and macOS. CHROME_PATH takes precedence. */
const PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** The installed browser, or undefined. Tests never download one. */
export const browserPath: string | undefined = [process.env.CHROME_PATH ?? '', ...PATHS].find(
  (path) => path !== '' && existsSync(path),
)

/** Starts a headless browser that connects only to the server under test. */
export async function launchBrowser(): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  const quiet = [
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-default-apps',
    '--no-first-run',
  ]
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ...quiet,
  ]
  return chromium.launch({ ...(browserPath && { executablePath: browserPath }), args })
}
