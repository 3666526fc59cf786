import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { browserPath, launchBrowser } from '../support/browser.ts'
import { createTestSchema, type TestSchema } from '../support/database.ts'
import { startTestConsole, type TestConsole } from '../support/web-server.ts'

if (browserPath === undefined)
  process.stderr.write('\n!!! SKIPPED: every test that needs a browser; install chromium or set CHROME_PATH.\n')

/** The console with a real browser, a real server and a real worker. */
describe.skipIf(browserPath === undefined)('the console in a browser', () => {
  let browser: Browser
  let schema: TestSchema
  let web: TestConsole
  let locked: TestConsole
  let release: () => void = () => {}
  const complaints: string[] = []

  beforeAll(async () => {
    browser = await launchBrowser()
    schema = await createTestSchema()
    web = await startTestConsole(schema)
    web.app.task('slow', () => new Promise<string>((resolve) => (release = () => resolve('at last'))))
    locked = await startTestConsole(schema, { worker: false, env: { CONSOLE_PASSWORD: 'correct horse' } })
  })
  afterAll(async () => {
    await browser?.close()
    await web?.stop()
    await locked?.stop()
    await schema?.drop()
  })
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close()
    // A violated content policy or a script error is a fault of the page. A 422 is the usual answer to an invalid form.
    expect(complaints.splice(0).filter((text) => !/status of (422|401)/.test(text))).toEqual([])
  })

  async function open(path: string, options: { javaScriptEnabled?: boolean; width?: number; base?: string } = {}): Promise<Page> {
    const { javaScriptEnabled = true, width = 1000, base = web.url } = options
    const context = await browser.newContext({ javaScriptEnabled, viewport: { width, height: 800 } })
    context.setDefaultTimeout(10_000)
    const page = await context.newPage()
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(String(error)))
    await page.goto(base + path)
    return page
  }

  const field = (page: Page, name: 'Task' | 'Arguments') => page.getByLabel(name, { exact: true })
  const schedule = (page: Page) => page.getByLabel('Schedule (optional)')
  const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name, exact: typeof name === 'string' })

  test.each([true, false])('runs a task and shows its result (JavaScript enabled: %s)', async (javaScriptEnabled) => {
    const page = await open('/', { javaScriptEnabled })
    await button(page, 'Run').click()
    await page.waitForURL('**/tasks/tasks.echo/*')
    await page.locator('#run[data-state=SUCCESS]').waitFor()
    expect(await page.locator('#run pre').textContent()).toBe('hi')
    expect(await page.title()).toBe('SUCCESS: tasks.echo · onedyno')
  })

  test('updates the page of a task without a reload', async () => {
    const page = await open('/')
    await field(page, 'Task').selectOption('slow')
    await button(page, 'Run').click()
    await page.locator('#run[data-state=STARTED]').waitFor()
    await page.evaluate(() => Object.assign(globalThis, { stillHere: true }))
    release()
    await page.locator('#run[data-state=SUCCESS]').waitFor()
    expect(await page.locator('#run pre').textContent()).toBe('at last')
    expect(await page.evaluate(() => 'stillHere' in globalThis)).toBe(true)
  })

  test('shows the example and the description of a chosen task, but does not replace typed text', async () => {
    const page = await open('/')
    await field(page, 'Task').selectOption('tasks.fetch_url')
    expect(await field(page, 'Arguments').inputValue()).toBe('["https://example.org/"]')
    expect(await page.locator('#task-hint').textContent()).toContain('Fetches a public web page')
    await field(page, 'Arguments').fill('["mine"]')
    await field(page, 'Task').selectOption('tasks.echo')
    expect(await field(page, 'Arguments').inputValue()).toBe('["mine"]')
    expect(await page.locator('#args-hint code').textContent()).toBe('["hi"]')
  })

  test('labels the button "Schedule" if a schedule is typed, and "Run" if the field is empty', async () => {
    const page = await open('/')
    await schedule(page).fill('15 minutes')
    await button(page, 'Schedule').waitFor()
    await schedule(page).fill('')
    await button(page, 'Run').waitFor()
  })

  test('focuses the error about an ambiguous schedule, and creates the schedule when a suggestion is clicked', async () => {
    const page = await open('/')
    await schedule(page).fill('0 9 1')
    await schedule(page).press('Enter')
    await page.getByRole('alert').waitFor()
    expect(await page.evaluate('document.activeElement.getAttribute("role")')).toBe('alert')
    expect(await schedule(page).inputValue()).toBe('0 9 1')
    await page.getByRole('alert').getByRole('link').click()
    expect(await page.evaluate('document.activeElement.id')).toBe('schedule')
    // Enter activates the form's button, not a suggestion.
    await page.keyboard.press('Enter')
    await page.getByRole('alert').waitFor()
    await button(page, /1st of every month/).click()
    await page.waitForURL('**/schedules/*')
    expect(await page.locator('main').textContent()).toContain('At 09:00 on the 1st of every month (UTC)')
    expect(await page.locator('.plain time').count()).toBe(3)
  })

  test('disables, enables and deletes a schedule', async () => {
    const page = await open('/')
    await schedule(page).fill('15 minutes')
    await button(page, 'Schedule').click()
    await button(page, 'Disable').click()
    await page.getByText('None: it is disabled.').waitFor()
    await button(page, 'Enable').click()
    await button(page, 'Disable').waitFor()
    await page.getByText('Delete…').click()
    await button(page, 'Delete for good').click()
    await page.waitForURL('**/schedules')
  })

  test.each([
    '<script>window.__xss=1</script>',
    '"><img src=x onerror=window.__xss=1>',
    '</pre><svg onload=window.__xss=1>',
    '</textarea><iframe srcdoc="<script>parent.__xss=1</script>">',
  ])('shows the result %s as text and does not execute it', async (markup) => {
    const page = await open('/')
    await field(page, 'Arguments').fill(JSON.stringify([markup]))
    await button(page, 'Run').click()
    await page.locator('#run[data-state=SUCCESS]').waitFor()
    expect(await page.locator('#run pre').textContent()).toBe(markup)
    expect(await page.evaluate(() => '__xss' in globalThis)).toBe(false)
  })

  test('refuses a wrong password, shows the requested page after the right password, and asks for the password after signing out', async () => {
    const page = await open('/schedules', { base: locked.url })
    await page.waitForURL('**/login?next=%2Fschedules')
    expect(await page.evaluate('document.activeElement.id')).toBe('password')
    await page.getByLabel('Password').fill('wrong')
    await button(page, 'Sign in').click()
    await page.getByText('The password is wrong.').waitFor()
    await page.getByLabel('Password').fill('correct horse')
    await button(page, 'Sign in').click()
    await page.waitForURL('**/schedules')
    await button(page, 'Sign out').click()
    await page.waitForURL('**/login')
    await page.goto(locked.url)
    expect(page.url()).toBe(`${locked.url}/login`)
  })

  test.each([320, 1280])('fits a window that is %i px wide, labels every field and shows one heading per page', async (width) => {
    const page = await open('/', { width })
    const look = async () => {
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), page.url()).toBe(true)
      expect(
        await page.evaluate(
          '[...document.querySelectorAll("input:not([type=hidden]), select, textarea")].filter((one) => one.labels.length === 0).length',
        ),
      ).toBe(0)
      expect(await page.locator('h1').count()).toBe(1)
    }
    await look()
    await field(page, 'Arguments').fill(`["${'long'.repeat(100)}"]`)
    await button(page, 'Run').click()
    await page.locator('#run[data-state=SUCCESS]').waitFor()
    await look()
    await page.goto(`${web.url}/?task=tasks.echo`)
    await schedule(page).fill('0 9 1')
    await button(page, 'Schedule').click()
    await page.getByRole('alert').waitFor()
    await look()
    await button(page, /1st of every month/).click()
    await page.waitForURL('**/schedules/*')
    await look()
    for (const path of ['/schedules', '/queues', '/dead-letters']) {
      await page.goto(`${web.url}${path}`)
      await look()
    }
    await page.goto(`${web.url}/schedules`)
    await look()
  })
})
