import { brotliDecompressSync, unzipSync, zstdDecompressSync } from 'node:zlib'

/** As large as the largest message that RabbitMQ takes by default: a few kilobytes must not become all of the memory. */
const MAX_BYTES = 128 * 1024 * 1024

const limit = { maxOutputLength: MAX_BYTES }

/** By the names that kombu registers. What it calls gzip is zlib's own format (RFC 1950); real gzip is taken as well. */
const METHODS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  'application/x-gzip': (body) => unzipSync(body, limit),
  gzip: (body) => unzipSync(body, limit),
  zlib: (body) => unzipSync(body, limit),
  'application/x-brotli': (body) => brotliDecompressSync(body, limit),
  brotli: (body) => brotliDecompressSync(body, limit),
  'application/zstd': (body) => zstdDecompressSync(body, limit),
  zstd: (body) => zstdDecompressSync(body, limit),
}

/** @throws Error when the method is not known, the bytes are broken, or there would be more than 128 MiB of them */
export function decompress(body: Buffer, method: unknown): Buffer {
  const inflate = typeof method === 'string' && Object.hasOwn(METHODS, method) ? METHODS[method] : undefined
  if (inflate === undefined)
    throw new Error(`compression ${JSON.stringify(method)} is not one of ${Object.keys(METHODS).join(', ')}`)
  return inflate(body)
}
