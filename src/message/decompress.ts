import { brotliDecompressSync, unzipSync, zstdDecompressSync } from 'node:zlib'

/**
 * The largest size after decompression: RabbitMQ's default limit of a message. Without a limit, a few kilobytes could inflate
 * until memory is full.
 */
const MAX_BYTES = 128 * 1024 * 1024

const limit = { maxOutputLength: MAX_BYTES }

/**
 * Decompression methods under the names that kombu registers (kombu/compression.py). What kombu calls gzip is zlib's format (RFC
 * 1950); the gzip format (RFC 1952) is accepted too.
 */
const METHODS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  'application/x-gzip': (body) => unzipSync(body, limit),
  gzip: (body) => unzipSync(body, limit),
  zlib: (body) => unzipSync(body, limit),
  'application/x-brotli': (body) => brotliDecompressSync(body, limit),
  brotli: (body) => brotliDecompressSync(body, limit),
  'application/zstd': (body) => zstdDecompressSync(body, limit),
  zstd: (body) => zstdDecompressSync(body, limit),
}

/** Decompresses a body. @throws Error if the method is unknown, the bytes are corrupt, or the result is larger than 128 MiB */
export function decompress(body: Buffer, method: unknown): Buffer {
  const inflate = typeof method === 'string' && Object.hasOwn(METHODS, method) ? METHODS[method] : undefined
  if (inflate === undefined)
    throw new Error(`compression must be one of ${Object.keys(METHODS).join(', ')}, not ${JSON.stringify(method)}`)
  return inflate(body)
}
