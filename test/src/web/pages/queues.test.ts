import { describe, expect, test } from 'vitest'
import { createTestWeb } from '../../../support/web-app.ts'

const withQueue = (name: string) => {
  const web = createTestWeb()
  web.queues.set(name, { name, paused: false, concurrency: null })
  return web
}

describe('/queues', () => {
  test('shows each queue with its ready and running tasks', async () => {
    const { statusCode, body } = await withQueue('mail').get('/queues')
    expect(statusCode).toBe(200)
    expect(body).toContain('<th scope="row">mail</th>\n<td data-label="Waiting">3</td>\n<td data-label="Running">1</td>')
    expect(body).toContain('<a href="/queues" aria-current="page">')
  })

  test('pauses a queue even while the broker does not answer', async () => {
    const web = withQueue('mail')
    web.silent.broker = true
    const { statusCode, body } = await web.get('/queues')
    expect(statusCode).toBe(200)
    expect(body).toContain('<td data-label="Waiting">unknown</td>')
    expect(body).toContain('action="/queues/mail/pause"')
  })

  test('pauses and resumes a queue', async () => {
    const web = withQueue('mail')
    const paused = await web.form('/queues/mail/pause', {})
    expect([paused.statusCode, paused.headers.location]).toEqual([303, '/queues'])
    expect(web.queues.get('mail')?.paused).toBe(true)
    expect((await web.get('/queues')).body).toContain('action="/queues/mail/resume"')
    await web.form('/queues/mail/resume', {})
    expect(web.queues.get('mail')?.paused).toBe(false)
  })

  test.each([
    ['1', 1],
    [' 20 ', 20],
    ['', null],
  ])('accepts %j as the limit of a queue', async (text, concurrency) => {
    const web = withQueue('mail')
    expect((await web.form('/queues/mail/limit', { concurrency: text })).statusCode).toBe(303)
    expect(web.queues.get('mail')?.concurrency).toBe(concurrency)
  })

  test.each(['many', '-1', '1.5', '99999'])('refuses %j as the limit of a queue, and changes nothing', async (concurrency) => {
    const web = withQueue('mail')
    const { statusCode, body } = await web.form('/queues/mail/limit', { concurrency })
    expect(statusCode).toBe(422)
    expect(body).toContain('whole number of 1 to 1000')
    expect(web.queues.get('mail')?.concurrency).toBeNull()
  })

  test('escapes markup in a queue name', async () => {
    const { body } = await withQueue('<b>/x').get('/queues')
    expect(body).toContain('<th scope="row">&#60;b&#62;/x</th>')
    expect(body).toContain('action="/queues/%3Cb%3E%2Fx/pause"')
  })
})
