import { expect, test } from 'vitest'
import { decodeText } from '../../../../src/tasks/fetch/decode-text.ts'

test.each([
  ['UTF-8 by default', 'text/html', Buffer.from('Grüße'), 'Grüße'],
  ['the charset of the header', 'text/html; charset=iso-8859-1', Buffer.from('Grüße', 'latin1'), 'Grüße'],
  ['a charset in quotes', 'text/plain; charset="UTF-16LE"', Buffer.from('hi', 'utf16le'), 'hi'],
  ['text with an unknown charset', 'text/plain; charset=klingon', Buffer.from('hi'), 'hi'],
  ['JSON', 'application/json', Buffer.from('{}'), '{}'],
  ['a JSON dialect', 'application/problem+json', Buffer.from('{}'), '{}'],
  ['SVG, which is XML', 'image/svg+xml', Buffer.from('<svg/>'), '<svg/>'],
  ['valid UTF-8 without a content type', null, Buffer.from('hé'), 'hé'],
  ['an empty body', null, Buffer.alloc(0), ''],
  ['invalid bytes as replacement characters', 'text/plain', Buffer.from([0x61, 0xff]), 'a\ufffd'],
])('decodeText() decodes %s', (_what, type, bytes, text) => {
  expect(decodeText(bytes, type)).toBe(text)
})

test.each([
  ['an image', 'image/png', Buffer.from('text inside')],
  ['bytes of the type application/octet-stream', 'application/octet-stream', Buffer.from('text inside')],
  ['bytes that are not UTF-8 without a content type', null, Buffer.from([0xff, 0xfe])],
  ['bytes with NUL without a content type', null, Buffer.from('a\0b')],
])('decodeText() returns undefined for %s', (_what, type, bytes) => {
  expect(decodeText(bytes, type)).toBeUndefined()
})
