import { existsSync } from 'node:fs'
import type { Browser } from 'playwright-core'

/** Where Debian, Ubuntu, Fedora and macOS put it; CHROME_PATH wins. */
const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** The browser of this machine, or undefined: none is ever downloaded. */
export const browserPath: string | undefined = [process.env.CHROME_PATH ?? '', ...PLACES].find(
  (path) => path !== '' && existsSync(path),
)

/** Headless, and silent towards the network: it talks to the server under test and to nobody else. */
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
