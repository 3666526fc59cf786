import { describe, expect, test } from 'vitest'
import type { ScheduleRun } from '../../../../src/database/schedules.ts'
import { createTestWeb, NOW, storedSchedule } from '../../../support/web-app.ts'

const ID = '01a0f3c2-0000-7000-8000-000000000001'
const withSchedule = (given: Parameters<typeof storedSchedule>[0] = {}) => {
  const web = createTestWeb()
  web.schedules.set(ID, storedSchedule(given))
  return web
}
const run = (given: Partial<ScheduleRun> = {}): ScheduleRun => ({
  tick: new Date(NOW.getTime() - 60_000),
  reason: 'tick',
  outcome: 'queued',
  missed: 0,
  task: 'tasks.echo',
  taskId: 'run-1',
  decidedAt: NOW,
  state: 'SUCCESS',
  startedAt: new Date(NOW.getTime() - 59_000),
  doneAt: new Date(NOW.getTime() - 58_750),
  ...given,
})

describe('/schedules', () => {
  test('explains how to create a schedule if there is none', async () => {
    expect((await createTestWeb().get('/schedules')).body).toContain('There is no schedule yet')
  })

  test('lists each schedule in words, with its next and last run', async () => {
    const { body } = await withSchedule({
      lastRunAt: new Date(NOW.getTime() - 120_000),
      lastTaskId: 'run-1',
      totalRunCount: 7,
    }).get('/schedules')
    expect(body).toContain(`<a href="/schedules/${ID}">tasks.echo</a>`)
    expect(body).toContain('every 15 minutes')
    expect(body).toMatch(/<time [^>]*>in 15 minutes<\/time>/)
    expect(body).toMatch(/<a href="\/tasks\/tasks.echo\/run-1"><time [^>]*>2 minutes ago<\/time><\/a>/)
    expect(body).toContain('<td data-label="Runs">7</td>')
  })

  test.each([
    ['disabled', { enabled: false, nextRunAt: null }],
    ['finished', { finished: true, nextRunAt: null }],
    ['being planned', { nextRunAt: null }],
  ])('shows "%s" if there is no next run', async (word, given) => {
    expect((await withSchedule(given).get('/schedules')).body).toContain(`<span class="soft">${word}</span>`)
  })

  test.each([
    ['overdue: is beat running?', { nextRunAt: new Date(NOW.getTime() - 61_000) }],
    ['not planned: is beat running?', { nextRunAt: null, changedAt: new Date(NOW.getTime() - 61_000) }],
  ])('shows "%s" if no beat plans or claims a schedule', async (text, given) => {
    expect((await withSchedule(given).get('/schedules')).body).toContain(text)
    expect((await withSchedule({ ...given, enabled: false }).get('/schedules')).body).not.toContain(text)
  })

  test('shows invalid rows and errors of beat instead of hiding them', async () => {
    const { body } = await withSchedule({
      schedule: undefined,
      problem: 'hour: "25" is too large',
      lastError: 'no such zone',
      nextRunAt: null,
    }).get('/schedules')
    expect(body).toContain('cannot be read: hour: &#34;25&#34; is too large')
    expect(body).toContain('no such zone')
  })

  test('continues on the next page after a hundred schedules', async () => {
    const web = createTestWeb()
    for (let i = 0; i < 101; i++)
      web.schedules.set(String(i), storedSchedule({ id: String(i), name: `n ${String(i).padStart(3, '0')}` }))
    const { body } = await web.get('/schedules')
    expect(body.match(/<tr>\s*<th scope="row">/g)).toHaveLength(100)
    expect(body).toContain('href="/schedules?after=n%20099"')
    expect((await web.get('/schedules?after=n%20099')).body.match(/<tr>\s*<th scope="row">/g)).toHaveLength(1)
  })
})

describe('/schedules/:id', () => {
  test('confirms a new schedule with its id, description and next three runs', async () => {
    const { statusCode, body } = await withSchedule().get(`/schedules/${ID}?new`)
    expect(statusCode).toBe(200)
    expect(body).toContain('Scheduled.')
    expect(body).toContain(`<code>${ID}</code>`)
    expect(body).toContain('Every 15 minutes')
    for (const time of ['18:15:00', '18:30:00', '18:45:00']) expect(body).toContain(`2026-11-22 ${time} UTC`)
    expect(body).not.toContain('19:00:00')
  })

  test('shows the time zone of a crontab', async () => {
    const schedule = {
      kind: 'crontab',
      minute: '0',
      hour: '9',
      dayOfWeek: '1-5',
      dayOfMonth: '*',
      monthOfYear: '*',
      dayRule: 'or',
      timezone: 'Europe/Berlin',
    } as const
    const { body } = await withSchedule({ schedule }).get(`/schedules/${ID}`)
    expect(body).toContain('At 09:00 on Monday to Friday (Europe/Berlin)')
    expect(body).toContain('2026-11-23 08:00:00 UTC')
  })

  test('shows the outcome of each tick with a link to its run', async () => {
    const web = withSchedule()
    web.runs.push(
      run(),
      run({ taskId: 'run-2', state: null, startedAt: null, doneAt: null }),
      run({ taskId: null, outcome: 'skipped_misfire', state: null }),
      run({ taskId: null, outcome: 'skipped_catchup', state: null }),
      run({ taskId: 'run-3', reason: 'catchup', missed: 4 }),
      run({ taskId: 'run-4', reason: 'manual' }),
    )
    const { body } = await web.get(`/schedules/${ID}`)
    for (const id of ['run-1', 'run-2', 'run-3', 'run-4']) expect(body).toContain(`<a href="/tasks/tasks.echo/${id}">`)
    for (const text of [
      '250 ms',
      'nothing stored',
      'skipped: too late',
      'skipped: missed while nothing ran',
      'for 4 missed before it',
      'made up for',
      'by hand',
    ])
      expect(body).toContain(text)
  })

  test('shows older runs on another page after fifty runs', async () => {
    const web = withSchedule()
    for (let i = 0; i < 51; i++) web.runs.push(run({ tick: new Date(NOW.getTime() - i * 1000), taskId: `run-${i}` }))
    const { body } = await web.get(`/schedules/${ID}`)
    expect(body).toContain('run-49')
    expect(body).not.toContain('run-50')
    expect(body).toContain(`?before=${encodeURIComponent(new Date(NOW.getTime() - 49_000).toISOString())}`)
  })

  test('disables, enables and deletes a schedule with plain forms', async () => {
    const web = withSchedule()
    expect((await web.get(`/schedules/${ID}`)).body).toContain(`action="/schedules/${ID}/disable"`)
    const disabled = await web.form(`/schedules/${ID}/disable`, {})
    expect([disabled.statusCode, disabled.headers.location]).toEqual([303, `/schedules/${ID}`])
    const { body } = await web.get(`/schedules/${ID}`)
    expect(body).toContain('None: it is disabled.')
    expect(body).toContain(`action="/schedules/${ID}/enable"`)
    await web.form(`/schedules/${ID}/enable`, {})
    expect(web.schedules.get(ID)!.enabled).toBe(true)
    const deleted = await web.form(`/schedules/${ID}/delete`, {})
    expect([deleted.statusCode, deleted.headers.location]).toEqual([303, '/schedules'])
    expect(web.schedules.size).toBe(0)
  })

  test.each([
    ['GET', '/schedules/nope'],
    ['POST', '/schedules/nope/enable'],
    ['POST', '/schedules/nope/disable'],
    ['POST', '/schedules/nope/delete'],
  ])('answers 404 to %s of an unknown schedule', async (method, path) => {
    const web = createTestWeb()
    const { statusCode } = method === 'GET' ? await web.get(path) : await web.form(path, {})
    expect(statusCode).toBe(404)
  })

  test('refuses forms of other sites', async () => {
    const web = withSchedule()
    expect((await web.form(`/schedules/${ID}/delete`, {}, { 'sec-fetch-site': 'cross-site' })).statusCode).toBe(403)
    expect(web.schedules.size).toBe(1)
  })

  test('escapes markup in every field of a schedule and of its runs', async () => {
    const evil = '<img src=x onerror=alert(1)>'
    const web = withSchedule({
      name: evil,
      task: evil,
      args: [evil],
      kwargs: { [evil]: evil },
      lastError: evil,
      problem: evil,
      schedule: undefined,
    })
    web.runs.push(run({ task: evil, taskId: evil }))
    for (const path of [`/schedules/${ID}`, '/schedules']) expect((await web.get(path)).body).not.toContain('<img')
  })
})
