/** The part of amqplib's connection that reads frames. */
interface FrameReader {
  /** The bytes that were received but not yet read. */
  readonly rest: Buffer
  recvFrame(): unknown
}

/** AMQP 0-9-1, §4.2.3: type, channel and size precede the payload. */
const FRAME_HEADER_BYTES = 7
/** Type of a frame with the properties of a message. */
const CONTENT_HEADER = 2
/** Offset of the flags of the properties: the frame header, class, weight and size of the body precede them. */
const FLAGS_AT = FRAME_HEADER_BYTES + 12
const [HAS_TYPE, HAS_ENCODING, HAS_HEADERS] = [0x8000, 0x4000, 0x2000]

/**
 * Sizes in bytes of the values, by tag. Texts, byte arrays, tables and arrays are missing, because their size precedes the
 * value.
 */
const SIZES: Readonly<Record<string, number>> = {
  ...{ t: 1, b: 1, B: 1, s: 2, u: 2, U: 2, I: 4, i: 4, l: 8, L: 8, f: 4, d: 8, D: 5, T: 8, V: 0 },
}
/** Tags of py-amqp that amqplib does not know, and their names in RabbitMQ's dialect. */
const TRANSLATED: Readonly<Record<string, string>> = { L: 'l', U: 's' }

/**
 * Makes the reader replace tags of py-amqp by tags that amqplib knows. py-amqp writes an integer of more than 32 bits with the
 * tag `L`. RabbitMQ forwards the tag unchanged, and amqplib would end the connection, and again after each redelivery
 * (docs/internals/wire-protocol.md, "Numbers in headers").
 */
export function translateFields(reader: FrameReader): void {
  const receive = reader.recvFrame
  // amqplib calls this method again after it has received more bytes, so each frame is translated when it is complete.
  reader.recvFrame = () => {
    const { rest } = reader
    if (rest.length > FLAGS_AT && rest[0] === CONTENT_HEADER) translateHeaders(rest)
    return receive.call(reader)
  }
}

/**
 * Translates in place the headers of the frame at the start of `bytes`. Does nothing if the frame is not complete. HOT: called
 * once for each delivery.
 */
export function translateHeaders(bytes: Buffer): void {
  const end = FRAME_HEADER_BYTES + bytes.readUInt32BE(3)
  if (bytes.length <= end) return
  const flags = bytes.readUInt16BE(FLAGS_AT)
  if ((flags & HAS_HEADERS) === 0) return
  let at = FLAGS_AT + 2
  for (const flag of [HAS_TYPE, HAS_ENCODING]) if ((flags & flag) !== 0) at += 1 + bytes.readUInt8(at)
  const table = bytes.subarray(at, Math.min(end, at + 4 + bytes.readUInt32BE(at)))
  if (table.includes('L') || table.includes('U')) translateTable(table)
}

/**
 * Translates the tags in a table. Stops at an unknown tag, which amqplib then reports.
 * @param table the bytes of the table, including its size
 */
function translateTable(table: Buffer): void {
  for (let at = 4; at < table.length; ) {
    const next = translateValue(table, at + 1 + table.readUInt8(at))
    if (next === undefined) return
    at = next
  }
}

function translateArray(array: Buffer): void {
  for (let at: number | undefined = 4; at !== undefined && at < array.length; ) at = translateValue(array, at)
}

/** Translates one value. @returns the offset of the end of the value, or undefined if its tag is unknown */
function translateValue(bytes: Buffer, at: number): number | undefined {
  const tag = String.fromCharCode(bytes.readUInt8(at))
  const size = SIZES[tag]
  if (size !== undefined) {
    const translated = TRANSLATED[tag]
    if (translated !== undefined) bytes.write(translated, at, 'latin1')
    return at + 1 + size
  }
  if (!'SxFA'.includes(tag)) return undefined
  const end = at + 5 + bytes.readUInt32BE(at + 1)
  if (tag === 'F') translateTable(bytes.subarray(at + 1, end))
  if (tag === 'A') translateArray(bytes.subarray(at + 1, end))
  return end
}
