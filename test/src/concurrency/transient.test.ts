import { describe, expect, it } from 'vitest'
import { isConnectFailure, isConnectionError, isRefusal, isSocketError } from '../../../src/concurrency/transient.ts'

const withCode = (code: string, fields: object = {}) => Object.assign(new Error('failed'), { code, ...fields })

describe('the kind of a failed statement', () => {
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

describe('a failure before a connection existed', () => {
  it.each<[title: string, error: Error, expected: boolean]>([
    ['is a refused connection', withCode('ECONNREFUSED', { syscall: 'connect' }), true],
    ['is a server that is not yet up', withCode('57P03'), true],
    ['is a name that is not resolved', withCode('ENOTFOUND'), true],
    ['is not a connection that was reset', withCode('ECONNRESET', { syscall: 'read' }), false],
    ['is not a server that shut down', withCode('57P01'), false],
  ])('%s', (_title, error, expected) => expect(isConnectFailure(error)).toBe(expected))
})

it('recognises socket errors by their code', () => {
  expect([isSocketError(withCode('EPIPE')), isSocketError(withCode('57P01')), isSocketError(new Error('EPIPE'))]).toEqual([
    true,
    false,
    false,
  ])
})
