import { expect, it } from 'vitest'
import { isRefusal } from '../../../src/database/database.ts'

it.each([
  ['a text with NUL', Object.assign(new Error('invalid byte sequence'), { code: '22021' }), true],
  ['a value that is too large', Object.assign(new Error('too large'), { code: '54000' }), true],
  ['what pg cannot make a parameter of', new TypeError('Do not know how to serialize a BigInt'), true],
  ['a full disk', Object.assign(new Error('no space'), { code: '53100' }), false],
  ['a connection that ended', new Error('Connection terminated unexpectedly'), false],
  ['a pool that waits for a connection', new Error('timeout exceeded when trying to connect'), false],
  ['a client that was closed', new Error('Client was closed and is not queryable'), false],
  [
    'a server that is about to end and answers the wish for TLS with an error',
    new Error('There was an error establishing an SSL connection'),
    false,
  ],
  ['a server that was replaced by one without TLS', new Error('The server does not support SSL connections'), false],
  ['a login that failed half way', new Error('SASL: SCRAM-SERVER-FINAL-MESSAGE: server signature is missing'), false],
  ['an answer to another question', new Error('Received unexpected commandComplete message from backend.'), false],
  ['a pool that was closed', new Error('Cannot use a pool after calling end on the pool'), false],
])('is it the fault of the value? %s', (_what, error, expected) => {
  expect(isRefusal(error)).toBe(expected)
})
