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
])('fetch_url allows the URL %s', (url) => {
  expect(checkTarget(url, nothing)).toBeInstanceOf(URL)
})

test.each([
  ['a text that is not a URL', 'example', /not a valid URL/],
  ['a URL without a scheme', '//127.0.0.1/', /not a valid URL/],
  ['a URL of a file', 'file:///etc/passwd', /scheme is file:/],
  ['a URL with the scheme data:', 'data:text/html,x', /scheme is data:/],
  ['a URL with the scheme javascript:', 'javascript:alert(1)', /scheme is javascript:/],
  ['a unix socket', 'http+unix://%2Fvar%2Frun%2Fdocker.sock/', /scheme/],
  ['a URL with a user name and a password', 'http://user:pass@example.org/', /user name/],
  ['a URL with a user name that hides the host', 'http://example.org@127.0.0.1/', /user name/],
  ['the port of ssh', 'http://example.org:22/', /port 22/],
  ['the port of RabbitMQ', 'http://example.org:15672/', /port 15672/],
  ['the loopback address', 'http://127.0.0.1/', /127\.0\.0\.1 is not a public address/],
  ['loopback, decimal', 'http://2130706433/', /127\.0\.0\.1/],
  ['loopback, hexadecimal', 'http://0x7f000001/', /127\.0\.0\.1/],
  ['loopback, octal', 'http://0177.0.0.1/', /127\.0\.0\.1/],
  ['loopback, short', 'http://127.1/', /127\.0\.0\.1/],
  ['the loopback address with a dot at its end', 'http://127.0.0.1./', /127\.0\.0\.1/],
  ['the loopback address with ideographic dots', 'http://127。0。0。1/', /127\.0\.0\.1/],
  ['the loopback address in full-width digits', 'http://１２７.0.0.1/', /127\.0\.0\.1/],
  ['the IPv6 loopback address', 'http://[::1]/', /::1 is not a public address/],
  ['the IPv4-mapped loopback address', 'http://[::ffff:127.0.0.1]/', /not a public address/],
  ['the IPv4-compatible loopback address', 'http://[::127.0.0.1]/', /not a public address/],
  ['the address of the metadata service', 'http://169.254.169.254/latest/meta-data/', /not a public address/],
  ['the name localhost', 'http://localhost/', /private network/],
  ['the name localhost in capitals with a dot at its end', 'http://LOCALHOST./', /private network/],
  ['a name under localhost', 'http://app.localhost/', /private network/],
  ['the name of Google’s metadata service', 'http://metadata.google.internal/', /private network/],
  ['zero', 'http://0/', /0\.0\.0\.0/],
])('fetch_url refuses %s: %s', (_what, url, reason) => {
  expect(() => checkTarget(url, nothing)).toThrow(reason)
})

test('fetch_url refuses a URL longer than 2048 characters, and shortens the URL in the message', () => {
  expect(() => checkTarget(`http://example.org/${'a'.repeat(2048)}`, nothing)).toThrow(/^.{1,300}$/)
})

test.each([
  ['127.0.0.1:9998', 'http://127.0.0.1:9998/x'],
  ['127.0.0.1:80', 'http://0x7f000001/'],
  ['[::1]:8000', 'http://[::1]:8000/'],
  ['Intranet:8081', 'http://intranet:8081/'],
  ['intranet:443', 'https://intranet/'],
])('with FETCH_ALLOW=%s, fetch_url allows the URL %s', (pair, url) => {
  expect(checkTarget(url, createAllowList([pair])).href).toBe(new URL(url).href)
})

test('fetch_url allows only the port that FETCH_ALLOW names', () => {
  expect(() => checkTarget('http://127.0.0.1:9999/', createAllowList(['127.0.0.1:9998']))).toThrow(/not allowed/)
})

test('fetch_url resolves a redirect against the URL of its page, and checks the new URL', () => {
  const base = new URL('http://example.org/a/b')
  expect(checkTarget('../c', nothing, base).href).toBe('http://example.org/c')
  expect(() => checkTarget('//127.0.0.1/', nothing, base)).toThrow(/not allowed/)
})
