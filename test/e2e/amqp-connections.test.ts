import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createTestSchema, type TestSchema } from '../support/database.ts'
import { createDynoFolder, type Dyno, postForm, startDyno, untilFormAnswers } from '../support/dyno.ts'
import { createTestVhost, rabbitmqctl, type TestVhost } from '../support/rabbit.ts'
import { until } from '../support/until.ts'

const server = inject('amqpUrl')

describe.skipIf(server === undefined)('the whole dyno on RabbitMQ', () => {
  let vhost: TestVhost
  let schema: TestSchema
  let folder: Awaited<ReturnType<typeof createDynoFolder>>
  let dyno: Dyno

  beforeAll(async () => {
    vhost = await createTestVhost(server ?? '')
    schema = await createTestSchema()
    folder = await createDynoFolder()
    dyno = await startDyno(folder.folder, { ...schema.env, CLOUDAMQP_URL: vhost.url })
    await untilFormAnswers(dyno)
    await until('all three are ready', () => /worker ready/.test(dyno.output()) && /beat ready/.test(dyno.output()))
  })
  afterAll(async () => {
    dyno?.signal('SIGTERM')
    await dyno?.exited
    await folder?.remove()
    await schema?.drop()
    await vhost?.drop()
  })

  const connections = async () =>
    (await rabbitmqctl('list_connections', 'vhost', 'client_properties')).split('\n').filter((line) => line.includes(vhost.name))
      .length

  it('logs which broker it chose and why, and masks the password in its URL', () => {
    expect(dyno.output()).toMatch(/broker chosen broker=amqp because="CLOUDAMQP_URL is set" url=amqp:\/\/\w+:\*\*\*@/)
    expect(dyno.output()).not.toContain('guest:guest')
  })

  it('answers fifty forms that are posted at once, and never opens more than three connections to RabbitMQ', async () => {
    const posts = Array.from({ length: 50 }, (_, index) => postForm(dyno, { task: 'tasks.echo', args: `["form ${index}"]` }))
    const seen: number[] = []
    let posted = false
    const watching = (async () => {
      while (!posted) seen.push(await connections())
    })()
    const pages = await Promise.all(posts)
    posted = true
    await watching
    seen.push(await connections())
    expect(new Set(pages.map(({ path }) => path)).size).toBe(50)
    const database = schema.open()
    const count = { name: 'done', text: `SELECT FROM {schema}.task_result WHERE state = 'SUCCESS' AND task = 'tasks.echo'` }
    await until('all have run', async () => (await database.query(count)).length === 50)
    // web, worker and beat have one connection each.
    expect(Math.max(...seen)).toBe(3)
    expect(seen.at(-1)).toBe(3)
  })
})
