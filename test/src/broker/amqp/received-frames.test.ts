import { describe, expect, it } from 'vitest'
import { translateFields, translateHeaders } from '../../../../src/broker/amqp/received-frames.ts'

const sized = (content: Buffer) => {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(content.length)
  return Buffer.concat([size, content])
}
const short = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
const table = (...fields: [name: string, tag: string, value: Buffer][]) =>
  sized(Buffer.concat(fields.flatMap(([name, tag, value]) => [short(name), Buffer.from(tag), value])))
const array = (...items: [tag: string, value: Buffer][]) =>
  sized(Buffer.concat(items.flatMap(([tag, value]) => [Buffer.from(tag), value])))
const text = (value: string) => sized(Buffer.from(value))
const int64 = (value: bigint) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}

/** A content header frame (AMQP 0-9-1, §4.2.6) with a content type, an encoding and headers. */
function frame(headers: Buffer): Buffer {
  const start = Buffer.from([0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0xe0, 0])
  const payload = sized(Buffer.concat([start, short('application/json'), short('utf-8'), headers]))
  return Buffer.concat([Buffer.from([2, 0, 1]), payload, Buffer.from([0xce])])
}

const headersWith = (long: string, int16: string) =>
  table(
    ['text', 'S', text('L and U')],
    ['sent_at', long, int64(1_700_000_000_000n)],
    ['none', 'V', Buffer.alloc(0)],
    ['small', int16, Buffer.from([1, 44])],
    ['list', 'A', array(['I', Buffer.from([0, 0, 1, 0])], [long, int64(-5_000_000_000n)], ['S', text('L')])],
    ['deep', 'F', table(['flag', 't', Buffer.from([1])], ['L', long, int64(7n)])],
    ['last', long, int64(-1n)],
  )

describe('the headers of a received message', () => {
  it('are translated from the tags of py-amqp to the tags of RabbitMQ, with the same values', () => {
    const bytes = frame(headersWith('L', 'U'))
    translateHeaders(bytes)
    expect(bytes).toEqual(frame(headersWith('l', 's')))
  })

  it('are left unchanged from the first unknown tag on', () => {
    const headers = table(['odd', '?', int64(1n)], ['after', 'L', int64(2n)])
    const bytes = frame(headers)
    translateHeaders(bytes)
    expect(bytes).toEqual(frame(headers))
  })

  it('are left unchanged while their frame is incomplete', () => {
    const whole = frame(headersWith('L', 'U'))
    const part = Buffer.from(whole.subarray(0, -1))
    translateHeaders(part)
    expect(part).toEqual(whole.subarray(0, -1))
  })

  it('are translated before amqplib reads them, but a frame with a body is left unchanged', () => {
    const seen: Buffer[] = []
    const reader = {
      rest: frame(headersWith('L', 'U')),
      recvFrame() {
        seen.push(Buffer.from(reader.rest))
        return 'frame'
      },
    }
    translateFields(reader)
    expect(reader.recvFrame()).toBe('frame')
    const body = Buffer.concat([Buffer.from([3, 0, 1]), text('L'.repeat(40)), Buffer.from([0xce])])
    reader.rest = Buffer.from(body)
    reader.recvFrame()
    expect(seen).toEqual([frame(headersWith('l', 's')), body])
  })
})
