import { brotliDecompressSync, unzipSync, zstdDecompressSync } from 'node:zlib'

/** The default size limit of a message in RabbitMQ. It stops a few kilobytes from inflating until memory is full. */
const MAX_BYTES = 128 * 1024 * 1024

const limit = { maxOutputLength: MAX_BYTES }

/** The names that kombu registers (kombu/compression.py). Its gzip is zlib's format (RFC 1950); real gzip (RFC 1952) is accepted too. */
const METHODS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  'application/x-gzip': (body) => unzipSync(body, limit),
  gzip: (body) => unzipSync(body, limit),
  zlib: (body) => unzipSync(body, limit),
  'application/x-brotli': (body) => brotliDecompressSync(body, limit),
  brotli: (body) => brotliDecompressSync(body, limit),
  'application/zstd': (body) => zstdDecompressSync(body, limit),
  zstd: (body) => zstdDecompressSync(body, limit),
}

/** @throws Error if the method is unknown, the bytes are corrupt, or the result is larger than 128 MiB */
export function decompress(body: Buffer, method: unknown): Buffer {
  const inflate = typeof method === 'string' && Object.hasOwn(METHODS, method) ? METHODS[method] : undefined
  if (inflate === undefined)
    throw new Error(`compression ${JSON.stringify(method)} is not one of ${Object.keys(METHODS).join(', ')}`)
  return inflate(body)
}
