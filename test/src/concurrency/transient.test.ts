import { describe, expect, it } from 'vitest'
import {
  isConnectionError,
  isConnectionRefused,
  isRefusal,
  isSafeToRepeat,
  isSocketError,
  isTransient,
  whileConnecting,
} from '../../../src/concurrency/transient.ts'

const withCode = (code: string, fields: object = {}) => Object.assign(new Error('failed'), { code, ...fields })

describe('the kind of a failed statement tells that', () => {
  it.each<[title: string, error: Error, kind: 'connection' | 'refusal' | 'other']>([
    ['text with NUL is refused', withCode('22021'), 'refusal'],
    ['a violated constraint is refused', withCode('23505'), 'refusal'],
    ['a value that is too large is refused', withCode('54000'), 'refusal'],
    [
      'a value that pg cannot convert to a parameter is refused',
      new TypeError('Do not know how to serialize a BigInt'),
      'refusal',
    ],
    ['a full disk is transient', withCode('53100'), 'other'],
    ['a deadlock is transient', withCode('40P01'), 'other'],
    ['too many connections are a connection error', withCode('53300'), 'connection'],
    ['a connection exception is a connection error', withCode('08006'), 'connection'],
    ['a server that shuts down is a connection error', withCode('57P01'), 'connection'],
    ['a refused connection is a connection error', withCode('ECONNREFUSED'), 'connection'],
    ['a connection that ended is a connection error', new Error('Connection terminated unexpectedly'), 'connection'],
    [
      'a pool that waits too long for a connection is a connection error',
      new Error('timeout exceeded when trying to connect'),
      'connection',
    ],
    ['a closed client is a connection error', new Error('Client was closed and is not queryable'), 'connection'],
    [
      'a server that answers the request for TLS with an error is transient',
      new Error('There was an error establishing an SSL connection'),
      'other',
    ],
    ['a server without TLS is transient', new Error('The server does not support SSL connections'), 'other'],
    ['an interrupted login is transient', new Error('SASL: SCRAM-SERVER-FINAL-MESSAGE: server signature is missing'), 'other'],
    [
      'an answer to another statement is transient',
      new Error('Received unexpected commandComplete message from backend.'),
      'other',
    ],
    ['a closed pool is transient', new Error('Cannot use a pool after calling end on the pool'), 'other'],
  ])('%s', (_title, error, kind) => {
    expect({ connection: isConnectionError(error), refusal: isRefusal(error) }).toEqual({
      connection: kind === 'connection',
      refusal: kind === 'refusal',
    })
  })
})

/** The error as the step that opens a connection throws it. */
const whileOpening = (error: Error): Promise<unknown> =>
  whileConnecting(() => Promise.reject(error)).catch((thrown: unknown) => thrown)

const BROKE = 'Connection terminated unexpectedly'

describe('a failure of PostgreSQL', () => {
  it.each<[title: string, error: Error, safe: boolean]>([
    ['a connection that ended', new Error(BROKE), false],
    ['a connection that was reset', withCode('ECONNRESET', { syscall: 'read' }), false],
    ['a server that shuts down', withCode('57P01'), false],
    ['a query without an answer', new Error('Query read timeout'), false],
    ['a read-only server', withCode('25006'), true],
    ['a statement that a standby refuses', Object.assign(withCode('55000'), { message: 'recovery is in progress' }), true],
    [
      'an isolation level that a standby refuses',
      Object.assign(withCode('0A000'), { message: 'cannot use serializable mode in a hot standby' }),
      true,
    ],
    ['a statement that was cancelled', withCode('57014'), true],
    ['a lock that is not available', withCode('55P03'), true],
    ['a serialization failure', withCode('40001'), true],
    ['a deadlock', withCode('40P01'), true],
    ['a full disk', withCode('53100'), true],
  ])('is transient if it is %s', (_title, error, safe) => {
    expect({ transient: isTransient(error), safe: isSafeToRepeat(error) }).toEqual({ transient: true, safe })
  })

  it.each<[title: string, error: Error]>([
    ['a refused value', withCode('22021')],
    ['a missing table', withCode('42P01')],
    ['another state of an object', withCode('55000')],
    ['a bug', new TypeError('x is not a function')],
  ])('is not transient if it is %s', (_title, error) => expect(isTransient(error)).toBe(false))
})

describe('a failure while a connection is opened', () => {
  it.each<[title: string, error: Error]>([
    ['a refused connection', withCode('ECONNREFUSED', { syscall: 'connect' })],
    ['a proxy that accepts and closes', new Error(BROKE)],
    ['a connection that is reset during the start-up', withCode('ECONNRESET', { syscall: 'read' })],
    ['a server that is not yet up', withCode('57P03')],
    ['a server that shuts down', withCode('57P01')],
    ['too many connections', withCode('53300')],
    ['a name that is not resolved', withCode('ENOTFOUND')],
    ['a server that answers too late', new Error('timeout expired')],
    ['a server that answers the request for TLS with an error', new Error('There was an error establishing an SSL connection')],
  ])('is safe to repeat if it is %s', async (_title, error) => {
    const thrown = await whileOpening(error)
    expect([isSafeToRepeat(thrown), isConnectionRefused(thrown)]).toEqual([true, false])
  })

  it.each<[title: string, error: Error]>([
    ['a wrong password', withCode('28P01')],
    ['an unknown user', withCode('28000')],
    ['an unknown database', withCode('3D000')],
    ['a database that the user may not enter', withCode('42501')],
    ['a certificate that nobody signed', withCode('SELF_SIGNED_CERT_IN_CHAIN')],
    ['a certificate of another host', withCode('ERR_TLS_CERT_ALTNAME_INVALID')],
    ['a server without TLS', new Error('The server does not support SSL connections')],
    ['a password that is missing', new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string')],
  ])('needs a correction by a person if it is %s', async (_title, error) => {
    const thrown = await whileOpening(error)
    expect([isSafeToRepeat(thrown), isConnectionRefused(thrown)]).toEqual([false, true])
  })
})

it('a socket error is recognised by its code', () => {
  expect([isSocketError(withCode('EPIPE')), isSocketError(withCode('57P01')), isSocketError(new Error('EPIPE'))]).toEqual([
    true,
    false,
    false,
  ])
})
