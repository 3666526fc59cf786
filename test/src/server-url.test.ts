import { describe, expect, it } from 'vitest'
import { amqpUrls, firstUrl, postgresAddress, redisAddress } from '../../src/server-url.ts'

describe('a list of RabbitMQ servers', () => {
  it.each([
    ['amqp://a', ['amqp://a']],
    ['amqp://u:p@a:1/v;amqp://u:p@b:2/v', ['amqp://u:p@a:1/v', 'amqp://u:p@b:2/v']],
    ['amqp://a; amqps://b;', ['amqp://a', 'amqps://b']],
    ['amqp://a,amqp://b', ['amqp://a', 'amqp://b']],
    ['amqp://u:p,w@a:1,b/v?heartbeat=5', ['amqp://u:p,w@a:1/v?heartbeat=5', 'amqp://u:p,w@b/v?heartbeat=5']],
    ['amqp://u:p;w@a/v;w', ['amqp://u:p;w@a/v;w']],
  ])('%s has the servers %j', (text, urls) => {
    expect(amqpUrls(text)).toEqual(urls)
    expect(firstUrl(text)).toBe(urls[0])
  })

  it.each(['amqp://a;b', 'amqp://a:port', 'amqp://a;http://b', ';'])('is refused if it is %s', (text) => {
    expect(amqpUrls(text)).toHaveProperty('problem')
  })
})

describe('the address of a Redis', () => {
  it.each([
    ['redis://h', 0],
    ['redis://h/', 0],
    ['rediss://u:p@h:1/15', 15],
    ['redis://h?db=3', 3],
    ['redis://h/2?db=3', 2],
  ])('%s selects database %i', (url, database) => expect(redisAddress(url)).toEqual({ kind: 'server', url, database }))

  it('lists the Sentinels of a URL in the format of kombu', () => {
    const text = 'sentinel://u:p%40w@a:26380;sentinel://[::1]/2?master_name=mine&sentinel_password=s'
    expect(redisAddress(text)).toEqual({
      kind: 'sentinels',
      sentinels: [
        { host: 'a', port: 26_380 },
        { host: '::1', port: 26_379 },
      ],
      master: 'mine',
      username: 'u',
      password: 'p@w',
      sentinelUsername: undefined,
      sentinelPassword: 's',
      database: 2,
    })
  })

  it.each([
    ['redis://h/cache', 'which is no number'],
    ['redis://h/1/2', 'which is no number'],
    ['redis://h?db=x', 'which is no number'],
    ['sentinel://a/x?master_name=m', 'which is no number'],
    ['redis://a,b', 'names several hosts'],
    ['redis://a;redis://b', 'names several hosts'],
    ['redis://a:port', 'is not a URL such as redis://'],
    ['sentinel://a', 'set REDIS_MASTER_NAME'],
    ['sentinel://?master_name=m', 'is not a list such as'],
  ])('is refused if it is %s: %s', (text, problem) =>
    expect(redisAddress(text)).toMatchObject({ problem: expect.stringContaining(problem) }),
  )
})

describe('the address of a PostgreSQL', () => {
  it.each([
    ['postgresql://u@h/d', 'postgresql://u@h/d', []],
    ['postgresql://user@/db?host=/run/x', 'postgresql://user@/db?host=/run/x', []],
    [
      'postgresql://u:p,w@a:1,[::1],b:2/d?target_session_attrs=read-write',
      'postgresql://u:p,w@a:1/d?target_session_attrs=read-write',
      [
        { host: 'a', port: 1 },
        { host: '::1', port: 5432 },
        { host: 'b', port: 2 },
      ],
    ],
  ])('%s is split into the URL %s and the hosts %j', (text, url, hosts) => expect(postgresAddress(text)).toEqual({ url, hosts }))
})
