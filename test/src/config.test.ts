import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import { decideTls } from '../../src/database/connection-options.ts'

describe('the configuration', () => {
  it('has a default for every variable except DATABASE_URL', () => {
    const config = parseConfig({})
    expect(config).toMatchObject({
      databaseUrl: undefined,
      databaseSchema: 'onedyno',
      concurrency: 10,
      queues: ['celery'],
      port: 5000,
      host: '127.0.0.1',
    })
    expect(config).toMatchObject({
      keepAwake: 'auto',
      platform: 'none',
      production: false,
      shutdownMs: 25_000,
      resultTtlSeconds: 86_400,
      logFormat: 'text',
    })
    expect(Object.isFrozen(config)).toBe(true)
  })

  it.each<[string, Record<string, string>, unknown]>([
    ['an empty environment', {}, 'off'],
    ["the broker's own Redis", { REDIS_URL: 'redis://r', RESULT_MIRROR: 'redis' }, 'redis'],
    ['another Redis', { AMQP_URL: 'amqp://a', RESULT_MIRROR: 'rediss://u:p@r:1/2' }, { url: 'rediss://u:p@r:1/2' }],
    ['a Redis beside PostgreSQL', { RESULT_MIRROR: 'redis://r' }, { url: 'redis://r' }],
  ])('reads RESULT_MIRROR from %s', (_name, env, expected) => expect(parseConfig(env).resultMirror).toEqual(expected))

  it.each<[Record<string, string>, string]>([
    [
      { RESULT_MIRROR: 'redis' },
      'RESULT_MIRROR=redis is the Redis of the broker, but the broker is postgres: give a redis:// URL',
    ],
    [{ RESULT_MIRROR: 'on' }, 'RESULT_MIRROR=on is not off, redis or a URL'],
    [{ RESULT_MIRROR: 'http://u:secret@r' }, 'RESULT_MIRROR=http://u:***@r'],
    [{ RESULT_MIRROR: 'redis://u:secret@r:port' }, 'RESULT_MIRROR=redis://u:***@r:port is not a URL such as'],
    [{ RESULT_COLLECT: 'redis' }, 'RESULT_COLLECT="redis" is not one of off, on'],
  ])('refuses %j without showing a password', (env, words) => {
    expect(() => parseConfig(env)).toThrow(words)
    expect(() => parseConfig(env)).not.toThrow('secret')
  })

  it.each([
    ['PostgreSQL without any URL', {}, { kind: 'postgres', why: 'no URL of RabbitMQ or Redis is set' }],
    [
      'RabbitMQ before Redis',
      { REDIS_URL: 'redis://r', CLOUDAMQP_URL: 'amqps://a' },
      { kind: 'amqp', why: 'CLOUDAMQP_URL is set', publishUrl: 'amqps://a', consumeUrl: 'amqps://a' },
    ],
    [
      'CLOUDAMQP_URL before RABBITMQ_URL before AMQP_URL',
      { AMQP_URL: 'amqp://c', RABBITMQ_URL: 'amqp://b' },
      { kind: 'amqp', why: 'RABBITMQ_URL is set', publishUrl: 'amqp://b', consumeUrl: 'amqp://b' },
    ],
    [
      'RabbitMQ with a URL for each direction',
      { RABBITMQ_BIGWIG_TX_URL: 'amqp://tx', RABBITMQ_BIGWIG_RX_URL: 'amqp://rx' },
      { kind: 'amqp', why: 'RABBITMQ_BIGWIG_TX_URL is set', publishUrl: 'amqp://tx', consumeUrl: 'amqp://rx' },
    ],
    ['Redis by its URL', { REDISTOGO_URL: 'redis://r' }, { kind: 'redis', why: 'REDISTOGO_URL is set', url: 'redis://r' }],
    [
      'PostgreSQL if ONEDYNO_BROKER says so, although a Redis URL is set',
      { REDIS_URL: 'redis://r', ONEDYNO_BROKER: 'postgres' },
      { kind: 'postgres', why: 'ONEDYNO_BROKER says so' },
    ],
    [
      'PostgreSQL beside a cache whose URL is not understood',
      { REDIS_URL: 'redis://a,b/cache', ONEDYNO_BROKER: 'postgres' },
      { kind: 'postgres', why: 'ONEDYNO_BROKER says so' },
    ],
    [
      'Redis behind Sentinels',
      { REDIS_URL: 'sentinel://a;sentinel://b/1', REDIS_MASTER_NAME: 'my master' },
      { kind: 'redis', why: 'REDIS_URL is set', url: 'sentinel://a;sentinel://b/1?master_name=my%20master' },
    ],
    [
      'Redis if ONEDYNO_BROKER says so, although a RabbitMQ URL is set',
      { REDIS_URL: 'redis://r', AMQP_URL: 'amqp://a', ONEDYNO_BROKER: 'redis' },
      { kind: 'redis', why: 'REDIS_URL is set', url: 'redis://r' },
    ],
  ])('chooses the broker: %s', (_name, env, broker) => expect(parseConfig(env).broker).toEqual(broker))

  it.each([
    [{ ONEDYNO_BROKER: 'amqp' }, 'ONEDYNO_BROKER=amqp, but none of CLOUDAMQP_URL'],
    [{ AMQP_URL: 'amqp://h:port' }, 'AMQP_URL=amqp://h:port is not a URL such as'],
    [{ AMQP_URL: 'amqp://u:p@a;amqp://u:p@b:port' }, 'AMQP_URL=amqp://u:***@a;amqp://u:***@b:port is not a URL'],
    [{ REDIS_URL: 'redis://:p@h/cache' }, 'REDIS_URL=redis://:***@h/cache names the database "cache", which is no number'],
    [{ REDIS_URL: 'redis://:p@a,b' }, 'REDIS_URL=redis://:***@a,b names several hosts'],
    [{ REDIS_URL: 'sentinel://:p@a' }, 'REDIS_URL=sentinel://:***@a does not say which primary'],
    [{ DATABASE_URL: 'postgresql://u:p@a,/d' }, 'DATABASE_URL=postgresql://u:***@a,/d '],
    [{ DATABASE_URL: 'postgresql://u:p@/d?host=a,b' }, 'names several hosts as a parameter'],
    [
      { DATABASE_URL: 'postgresql://a,b/d?target_session_attrs=standby' },
      'asks for target_session_attrs=standby, but onedyno writes: any, read-write, primary are accepted',
    ],
    [{ DATABASE_URL: 'postgresql://u:p@a:port/d' }, 'DATABASE_URL=postgresql://u:***@a:port/d is not a URL'],
    [{ CLOUDAMQP_URL: 'http://u:secret@h' }, 'CLOUDAMQP_URL=http://u:***@h'],
  ])('refuses the unusable server settings %j', (env, words) => expect(() => parseConfig(env)).toThrow(words))

  it('treats an empty value as unset', () =>
    expect(parseConfig({ PORT: '', DATABASE_URL: '' })).toMatchObject({ port: 5000, databaseUrl: undefined }))

  it('reports all problems at once, without a password', () => {
    const env = {
      PORT: '70000',
      CONCURRENCY: 'x',
      DATABASE_URL: 'mysql://u:secret@h/d',
      KEEP_AWAKE: 'yes',
      LOG_LEVEL: 'loud',
      BEAT_TIMEZONE: 'Mars',
      FETCH_ALLOW: 'host',
    }
    let message = ''
    try {
      parseConfig(env)
    } catch (error) {
      message = (error as Error).message
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', exit: 78 })
    }
    for (const name of Object.keys(env)) expect(message).toContain(name)
    expect(message).not.toContain('secret')
    expect(message).toContain('debug, info, warn, error, silent')
  })

  it.each([
    ['no variable', {}, undefined],
    [
      'PUBLIC_URL before a platform',
      { PUBLIC_URL: 'https://example.org/path', RENDER_EXTERNAL_URL: 'https://r' },
      'https://example.org',
    ],
    ['Heroku', { HEROKU_APP_DEFAULT_DOMAIN_NAME: 'app-1234.herokuapp.com' }, 'https://app-1234.herokuapp.com'],
    ['Render', { RENDER_EXTERNAL_URL: 'https://x.onrender.com' }, 'https://x.onrender.com'],
    ['Koyeb', { KOYEB_PUBLIC_DOMAIN: 'x.koyeb.app' }, 'https://x.koyeb.app'],
  ])('takes the public URL from %s', (_name, env, url) => expect(parseConfig(env).publicUrl).toBe(url))

  it.each([
    ['heroku', { DYNO: 'web.1' }],
    ['render', { RENDER: 'true' }],
    ['koyeb', { KOYEB_APP_NAME: 'x' }],
    ['kubernetes', { KUBERNETES_SERVICE_HOST: '10.0.0.1' }],
  ])('is for production on %s, with a server that listens on every address', (platform, env) => {
    expect(parseConfig(env)).toMatchObject({ platform, production: true, host: '::' })
    expect(parseConfig({ ...env, NODE_ENV: 'development' })).toMatchObject({ production: false, host: '127.0.0.1' })
  })
})

describe('TLS to the database', () => {
  const auto = { databaseSsl: 'auto', platform: 'none' } as const
  it.each([
    ['is off for an IPv4 loopback address', 'postgresql://u@127.0.0.1:5432/d', auto, 'off'],
    ['is off for the IPv6 loopback address', 'postgresql://u@[::1]:5432/d', auto, 'off'],
    ['is off for a unix socket', 'postgresql://u@/d?host=/var/run', auto, 'off'],
    ['is off for a name inside a private network', 'postgresql://u:p@db/d', auto, 'off'],
    ['is off for a private address', 'postgresql://u:p@10.1.2.3/d', auto, 'off'],
    ['is verified for a host on the Internet', 'postgresql://u:p@db.example.org/d', auto, 'verify-full'],
    [
      'is verified for a host on the Internet if the password has @ and :',
      'postgresql://u:p%40:x@db.example.org/d',
      auto,
      'verify-full',
    ],
    [
      'is on without verification on Heroku',
      'postgres://u:p@ec2-1.amazonaws.com:5432/d',
      { ...auto, platform: 'heroku' },
      'no-verify',
    ],
    [
      'is on without verification with sslmode=require, as in libpq',
      'postgresql://u@db.example.org/d?sslmode=require',
      auto,
      'no-verify',
    ],
    ['is verified with sslmode=verify-full', 'postgresql://u@127.0.0.1/d?sslmode=verify-full', auto, 'verify-full'],
    ['is off with sslmode=disable', 'postgresql://u@db.example.org/d?sslmode=disable', auto, 'off'],
    [
      'is verified if DATABASE_SSL says so, whatever the URL and the platform',
      'postgresql://u@127.0.0.1/d?sslmode=disable',
      { databaseSsl: 'verify-full', platform: 'heroku' },
      'verify-full',
    ],
  ] as const)('%s', (_name, url, config, tls) => expect(decideTls(url, config).tls).toBe(tls))
})
