import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { runCommand } from '../../support/command.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { createTestVhost, type TestVhost } from '../../support/rabbit.ts'
import { freePort } from '../../support/redis-server.ts'
import { type RoleProcess, startRole } from '../../support/role.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'

describe.skipIf(lacks('amqp'))('a list of RabbitMQ servers', () => {
  let schema: TestSchema
  let vhost: TestVhost
  let first: TcpProxy
  let second: TcpProxy
  let env: Record<string, string>
  let worker: RoleProcess
  beforeAll(async () => {
    schema = await createTestSchema()
    vhost = await createTestVhost(inject('amqpUrl') ?? '')
    const { hostname, port } = new URL(vhost.url)
    first = await startTcpProxy({ host: hostname, port: Number(port || 5672) })
    second = await startTcpProxy({ host: hostname, port: Number(port || 5672) })
    // Nothing listens at the first address.
    const urls = [await freePort(), first.port, second.port].map((each) => vhost.urlAt(each).replace('localhost', '127.0.0.1'))
    env = { ...schema.env, AMQP_URL: urls.join(';') }
    worker = await startRole('worker', env, [], { main: 'src/main.ts' })
  })
  afterAll(async () => {
    worker.kill('SIGKILL')
    await worker.exited
    await first.close()
    await second.close()
    await vhost.drop()
    await schema.drop()
  })

  const call = (value: string, AMQP_URL = env.AMQP_URL ?? '') =>
    runCommand({ ...env, AMQP_URL }, 'call', 'tasks.echo', '--args', JSON.stringify([value]), '--wait', '--timeout', '20')

  test('is tried in turn until a server answers', async () => {
    await until('a connection', () => first.connections + second.connections > 0)
    expect(await call('first')).toMatchObject({ code: 0, stdout: '"first"\n' })
  })

  test('leads to the next server each time the connected server goes away', async () => {
    const [current, other] = first.connections > 0 ? [first, second] : [second, first]
    current.shut()
    await until('the worker is connected to the other server', () => other.connections === 1)
    expect(await call('second')).toMatchObject({ code: 0, stdout: '"second"\n' })
    current.open()
    other.shut()
    await until('the worker is connected to the first server again', () => current.connections === 1)
    expect(await call('first again')).toMatchObject({ code: 0, stdout: '"first again"\n' })
    other.open()
  })

  test('may be separated by commas, and a comma elsewhere in a URL separates nothing', async () => {
    const { username, password, pathname } = new URL(vhost.url)
    const url = `amqp://${username || 'guest'}:${password || 'guest'}@127.0.0.1:${await freePort()},127.0.0.1:${second.port}${pathname}`
    expect(await call('comma', url)).toMatchObject({ code: 0, stdout: '"comma"\n' })
    expect(await call('commas', (env.AMQP_URL ?? '').replaceAll(';', ','))).toMatchObject({ code: 0 })
  })

  test('has its passwords masked in the log, and is accepted by remote control', async () => {
    expect(worker.output()).toContain('broker chosen')
    expect(worker.output()).toMatch(/url="?amqp:\/\/guest:\*\*\*@\S+;amqp:\/\/guest:\*\*\*@/)
    expect(worker.output()).not.toContain('guest:guest')
    const { code, stdout } = await runCommand(env, 'inspect', 'stats', '--json')
    expect(code).toBe(0)
    expect(stdout).toContain('"transport":"amqp"')
    expect(stdout).not.toContain('guest:guest')
  })
})
