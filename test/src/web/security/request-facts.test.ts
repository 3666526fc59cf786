import { expect, test } from 'vitest'
import { forwardedProto, hostName, isLoopback } from '../../../../src/web/security/request-facts.ts'

test.each([
  ['localhost:5000', 'localhost'],
  ['Example.ORG', 'example.org'],
  ['127.0.0.1:80', '127.0.0.1'],
  ['[::1]:5000', '::1'],
  ['[::1]', '::1'],
  ['', ''],
  [undefined, ''],
  ['a b', ''],
  ['evil.example/path', ''],
  ['user@evil.example', ''],
  ['example.org:port', ''],
])('the Host header %j names the host %j', (header, name) => {
  expect(hostName(header)).toBe(name)
})

test.each([
  [{}, undefined],
  [{ 'x-forwarded-proto': 'https' }, 'https'],
  [{ 'x-forwarded-proto': 'https, http' }, 'http'],
  [{ 'x-forwarded-proto': ['https', 'HTTP'] as never }, 'http'],
])('the protocol of a request with the headers %j is read as %j', (headers, proto) => {
  expect(forwardedProto(headers)).toBe(proto)
})

test.each(['127.0.0.1', '127.9.8.7', '::1', '::ffff:127.0.0.1'])('the address %s belongs to this machine', (address) => {
  expect(isLoopback(address)).toBe(true)
})

test.each(['10.0.0.1', '::ffff:10.0.0.1', 'fe80::1', '0.0.0.0', 'localhost', ''])(
  'the address %j does not belong to this machine',
  (address) => {
    expect(isLoopback(address)).toBe(false)
  },
)
