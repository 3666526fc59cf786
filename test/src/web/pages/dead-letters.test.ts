import { describe, expect, test } from 'vitest'
import type { DeadLetter } from '../../../../src/database/dead-letters.ts'
import { createTestWeb, NOW } from '../../../support/web-app.ts'

const letter = (given: Partial<DeadLetter> = {}): DeadLetter => ({
  ...{ id: '7', queue: 'celery', reason: 'ended its worker 3 times', taskId: 'run-1', task: 'tasks.echo', priority: 0 },
  ...{ headers: null, body: '[["<b>"],{},{}]', diedAt: new Date(NOW.getTime() - 60_000) },
  ...given,
})
const withLetters = (...letters: DeadLetter[]) => {
  const web = createTestWeb()
  web.letters.push(...letters)
  return web
}

describe('/dead-letters', () => {
  test('shows a message if there are no dead letters', async () => {
    expect((await createTestWeb().get('/dead-letters')).body).toContain('There are none.')
  })

  test('shows each dead letter with its reason, message and run', async () => {
    const { body } = await withLetters(letter()).get('/dead-letters')
    expect(body).toContain('<a href="/tasks/tasks.echo/run-1">tasks.echo</a>')
    expect(body).toContain('ended its worker 3 times')
    expect(body).toContain('[[&#34;&#60;b&#62;&#34;],{},{}]')
    expect(body).toMatch(/<time [^>]*>1 minute ago<\/time>/)
  })

  test('offers only deletion for a dead letter without a task id', async () => {
    const { body } = await withLetters(letter({ taskId: '', task: null })).get('/dead-letters')
    expect(body).not.toContain('action="/dead-letters/7/requeue"')
    expect(body).toContain('action="/dead-letters/7/drop"')
  })

  test.each([
    ['/dead-letters/7/requeue', 'requeue 7', '/dead-letters?requeued=1'],
    ['/dead-letters/7/drop', 'drop 7', '/dead-letters?dropped=1'],
    ['/dead-letters/requeue', 'requeue all', '/dead-letters?requeued=1'],
    ['/dead-letters/drop', 'drop all', '/dead-letters?dropped=1'],
  ])('does the action of a form that is sent to %s ("%s"), and confirms the action', async (path, act, location) => {
    const web = withLetters(letter())
    const { statusCode, headers } = await web.form(path, {})
    expect([statusCode, headers.location, web.acted]).toEqual([303, location, [act]])
    expect((await web.get(location)).body).toMatch(/<p class="notice good" role="status">1 (requeued|deleted)\.<\/p>/)
  })

  test('changes nothing if the row id is not a number', async () => {
    const web = withLetters(letter())
    await web.form('/dead-letters/all/drop', {})
    expect(web.acted).toEqual(['drop '])
  })

  test('continues on the next page after fifty dead letters', async () => {
    const web = withLetters(...Array.from({ length: 51 }, (_, at) => letter({ id: String(100 - at) })))
    expect((await web.get('/dead-letters')).body).toContain('href="/dead-letters?before=51"')
    expect((await web.get('/dead-letters?before=51')).body).not.toContain('before=')
  })
})
