import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { typedFields } from '../../../../src/broker/amqp/typed-fields.ts'

const require = createRequire(import.meta.url)
/** The encoder of amqplib, which the package does not export. */
const codec = require(join(dirname(require.resolve('amqplib')), 'lib/codec.js')) as {
  encodeTable(buffer: Buffer, fields: object, offset: number): number
  decodeFields(bytes: Buffer): Record<string, unknown>
}

/** The bytes of `{v: value}` without the size of the table. */
const encoded = (value: unknown): Buffer => {
  const buffer = Buffer.alloc(1024)
  return buffer.subarray(4, codec.encodeTable(buffer, typedFields({ v: value }), 0))
}

describe('the encoder of AMQP tables', () => {
  it.each([
    [0, 'I'],
    [-1, 'I'],
    [127, 'I'],
    [128, 'I'],
    [-129, 'I'],
    [300, 'I'],
    [32_767, 'I'],
    [32_768, 'I'],
    [-(2 ** 31), 'I'],
    [2 ** 31 - 1, 'I'],
    [2 ** 31, 'l'],
    [Number.MAX_SAFE_INTEGER, 'l'],
    [-(2 ** 31) - 1, 'd'],
    [2 ** 63, 'd'],
    [1.5, 'd'],
    [-0.25, 'd'],
    ['128', 'S'],
    [true, 't'],
    [null, 'V'],
  ])('encodes %s with the tag %s', (value, tag) => {
    const bytes = encoded(value)
    expect(bytes.toString('latin1', 2, 3)).toBe(tag)
    expect(codec.decodeFields(bytes)).toEqual({ v: value })
  })

  it('uses the same tags for the numbers in nested lists and tables', () => {
    const value = [300, [200, null], { deep: [-300, { deeper: 40_000 }] }]
    const bytes = encoded(value)
    expect(codec.decodeFields(bytes)).toEqual({ v: value })
    expect(bytes.toString('latin1')).not.toMatch(/[bs]/)
  })

  it.each([
    ['a timestamp', { '!': 'timestamp', value: 1_700_000_000 }],
    ['a decimal', { '!': 'decimal', value: { places: 2, digits: 314 } }],
  ])('keeps %s as amqplib decoded it', (_name, value) => {
    expect(codec.decodeFields(encoded(value))).toEqual({ v: value })
  })

  it.each([
    ['an unknown type', { '!': 'nothing', value: 300 }],
    ['a timestamp without a time', { '!': 'timestamp', value: 'now' }],
    ['a key "!" alone', { '!': 300 }],
  ])('encodes an object with %s as a table', (_name, value) => {
    expect(codec.decodeFields(encoded(value))).toEqual({ v: value })
  })

  it('leaves bytes unchanged', () => {
    expect(codec.decodeFields(encoded(Buffer.from('abc')))).toEqual({ v: Buffer.from('abc') })
  })
})
