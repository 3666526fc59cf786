import { expect, it } from 'vitest'
import { runCommand } from '../../support/command.ts'
import { onEveryBroker } from '../../support/task-worker.ts'

/** Port 1 (tcpmux, made historic by RFC 7805): nothing listens there. */
const NOWHERE = '127.0.0.1:1'

onEveryBroker(
  'the command line with an unreachable server or wrong input',
  (at) => {
    const elsewhere = (change: (url: URL) => void) => {
      const url = new URL(at.env.DATABASE_URL ?? '')
      change(url)
      return { ...at.env, DATABASE_URL: url.href }
    }

    it.each([['worker'], ['beat'], ['web', '-p', '0'], ['queues']])(
      'ends onedyno %s with a hint if the database does not exist',
      async (...args) => {
        const env = elsewhere((url) => {
          url.pathname = '/no_such_database'
        })
        const { code, stderr } = await runCommand(env, ...args)
        expect(code).toBe(78)
        expect(stderr).toContain('refuses the connection: database "no_such_database" does not exist')
        expect(stderr).toContain('hint: Correct the user, password, database name')
        expect(stderr).not.toMatch(/^\s+at /m)
      },
    )

    it.each([
      ['RABBITMQ_URL', `amqp://me:geheim@${NOWHERE}/`, 'RabbitMQ', ['queues']],
      ['RABBITMQ_URL', `amqp://me:geheim@${NOWHERE}/`, 'RabbitMQ', ['purge', '--force', 'celery']],
      ['RABBITMQ_URL', `amqp://me:geheim@${NOWHERE}/`, 'RabbitMQ', ['inspect', 'ping']],
      ['REDIS_URL', `redis://me:geheim@${NOWHERE}`, 'Redis', ['queues']],
      ['REDIS_URL', `redis://me:geheim@${NOWHERE}`, 'Redis', ['inspect', 'ping']],
    ] as const)('ends with %s=%s and an error about %s: %j', async (variable, url, name, args) => {
      const { code, stdout, stderr } = await runCommand(
        { ...at.env, [variable]: url, ONEDYNO_BROKER: 'auto', PUBLISH_TIMEOUT: '1' },
        ...args,
      )
      expect({ code, stdout }).toEqual({ code: 69, stdout: '' })
      expect(stderr).toContain(`error: ${name} at ${url.replace('geheim', '***')}`)
      expect(stderr).toContain('hint: ')
    })

    it('writes only the id of a call to stdout, and a note that the message waits in the outbox to stderr', async () => {
      const env = { ...at.env, ONEDYNO_BROKER: 'auto', RABBITMQ_URL: `amqp://me:geheim@${NOWHERE}/`, PUBLISH_TIMEOUT: '1' }
      const { code, stdout, stderr } = await runCommand(env, 'call', 'tasks.ehco', '--args', '[1]')
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^[0-9a-f-]{36}\n$/) })
      expect(stderr).toContain('note: tasks.ehco is not registered here')
      expect(stderr).toContain('outbox')
      expect(stderr).not.toContain('geheim')
    })

    it('shows no password of any variable in report', async () => {
      const { code, stdout } = await runCommand(
        { ...at.env, RESULT_MIRROR: `redis://me:geheim@${NOWHERE}/3`, CONSOLE_PASSWORD: 'geheim' },
        'report',
      )
      expect(code).toBe(0)
      expect(stdout).toContain(`RESULT_MIRROR: redis://me:***@${NOWHERE}/3`)
      expect(stdout).not.toContain('geheim')
    })

    it('prints in check the chosen servers with the reason and without passwords, and refuses a wrong URL', async () => {
      const env = { DATABASE_URL: 'postgresql://me:geheim@db/x', CLOUDAMQP_URL: `amqp://me:geheim@${NOWHERE}/` }
      const { code, stderr } = await runCommand(env, 'check', '-f', 'Procfile.real')
      expect(code).toBe(0)
      expect(stderr).toContain('Database: postgresql://me:***@db/x schema=onedyno\n')
      expect(stderr).toContain(`Broker: amqp amqp://me:***@${NOWHERE}/ (CLOUDAMQP_URL is set)\n`)
      const wrong = await runCommand({ ...env, CLOUDAMQP_URL: 'http://x' }, 'check', '-f', 'Procfile.real')
      expect(wrong).toMatchObject({ code: 78, stderr: expect.stringContaining('CLOUDAMQP_URL=http://x does not begin with') })
    })

    it.each([
      [['workr'], 'worker'],
      [[], 'worker'],
      [['-l', 'debug', 'worker'], 'options of "worker" must follow the command'],
    ])('prints the existing commands after the wrong arguments %j', async (args, said) => {
      const { code, stderr } = await runCommand({}, ...args)
      expect(code).toBe(2)
      expect(stderr).toContain(said)
    })
  },
  { only: ['postgres'] },
)
