import { expect, test } from 'vitest'
import { checkTarget, createAllowList } from '../../../../src/tasks/fetch/target.ts'

const nothing = createAllowList([])

test.each([
  'http://example.org/',
  'https://example.org/a?b=c#d',
  'http://example.org:8080/',
  'https://example.org:8443/',
  'http://1.1.1.1/',
  'http://[2606:4700::1111]/',
  'https://münchen.example/',
  'http:\\\\example.org/',
])('allows %s', (url) => {
  expect(checkTarget(url, nothing)).toBeInstanceOf(URL)
})

test.each([
  ['no URL', 'example', /not a valid URL/],
  ['a path', '//127.0.0.1/', /not a valid URL/],
  ['a file', 'file:///etc/passwd', /scheme is file:/],
  ['data', 'data:text/html,x', /scheme is data:/],
  ['a script', 'javascript:alert(1)', /scheme is javascript:/],
  ['a unix socket', 'http+unix://%2Fvar%2Frun%2Fdocker.sock/', /scheme/],
  ['user-info', 'http://user:pass@example.org/', /user name/],
  ['user-info that hides the host', 'http://example.org@127.0.0.1/', /user name/],
  ['the port of ssh', 'http://example.org:22/', /port 22/],
  ['the port of RabbitMQ', 'http://example.org:15672/', /port 15672/],
  ['loopback', 'http://127.0.0.1/', /127\.0\.0\.1 is not a public address/],
  ['loopback, decimal', 'http://2130706433/', /127\.0\.0\.1/],
  ['loopback, hexadecimal', 'http://0x7f000001/', /127\.0\.0\.1/],
  ['loopback, octal', 'http://0177.0.0.1/', /127\.0\.0\.1/],
  ['loopback, short', 'http://127.1/', /127\.0\.0\.1/],
  ['loopback with a dot at its end', 'http://127.0.0.1./', /127\.0\.0\.1/],
  ['loopback with ideographic dots', 'http://127。0。0。1/', /127\.0\.0\.1/],
  ['loopback, full width', 'http://１２７.0.0.1/', /127\.0\.0\.1/],
  ['loopback, IPv6', 'http://[::1]/', /::1 is not a public address/],
  ['loopback, IPv4 mapped', 'http://[::ffff:127.0.0.1]/', /not a public address/],
  ['loopback, IPv4 compatible', 'http://[::127.0.0.1]/', /not a public address/],
  ['metadata', 'http://169.254.169.254/latest/meta-data/', /not a public address/],
  ['the name of loopback', 'http://localhost/', /private network/],
  ['the name of loopback with a dot', 'http://LOCALHOST./', /private network/],
  ['a name under localhost', 'http://app.localhost/', /private network/],
  ['the name of Google metadata', 'http://metadata.google.internal/', /private network/],
  ['zero', 'http://0/', /0\.0\.0\.0/],
])('refuses %s: %s', (_what, url, reason) => {
  expect(() => checkTarget(url, nothing)).toThrow(reason)
})

test('refuses a URL longer than 2048 characters and shortens it in the message', () => {
  expect(() => checkTarget(`http://example.org/${'a'.repeat(2048)}`, nothing)).toThrow(/^.{1,300}$/)
})

test.each([
  ['127.0.0.1:9998', 'http://127.0.0.1:9998/x'],
  ['127.0.0.1:80', 'http://0x7f000001/'],
  ['[::1]:8000', 'http://[::1]:8000/'],
  ['Intranet:8081', 'http://intranet:8081/'],
  ['intranet:443', 'https://intranet/'],
])('allows a URL with FETCH_ALLOW=%s: %s', (pair, url) => {
  expect(checkTarget(url, createAllowList([pair])).href).toBe(new URL(url).href)
})

test('allows only the port that FETCH_ALLOW names', () => {
  expect(() => checkTarget('http://127.0.0.1:9999/', createAllowList(['127.0.0.1:9998']))).toThrow(/not allowed/)
})

test('resolves a redirect against the URL of its page and checks the new URL', () => {
  const base = new URL('http://example.org/a/b')
  expect(checkTarget('../c', nothing, base).href).toBe('http://example.org/c')
  expect(() => checkTarget('//127.0.0.1/', nothing, base)).toThrow(/not allowed/)
})
