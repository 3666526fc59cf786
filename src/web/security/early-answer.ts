import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { SECURITY_HEADERS } from './headers.ts'

/**
 * Tracks answers that were sent before the whole request arrived. The rest of such a request must not be parsed as another
 * request, nor be answered again.
 */
export interface EarlyAnswers {
  /** Notes a request that is answered. @returns true if the connection has to be closed after the answer */
  note(request: IncomingMessage): boolean
  /** Answers requests that Node's parser refuses. They have no request object, so no hook runs. */
  onClientError(error: NodeJS.ErrnoException, socket: Socket): void
}

/** The status for each error code of the parser (Node 24 documentation, `clientError`). Any other code gives 400. */
const STATUS_LINES: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Content Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

export function createEarlyAnswers(): EarlyAnswers {
  const answered = new WeakSet<Socket>()
  return {
    note(request) {
      const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
      if (request.complete || (encoding === undefined && (length === undefined || length === '0'))) return false
      answered.add(request.socket)
      return true
    },
    onClientError(error, socket) {
      if (error.code === 'ECONNRESET' || socket.destroyed) return
      if (answered.has(socket) || !socket.writable) return void socket.destroySoon()
      const headers = Object.entries(SECURITY_HEADERS).map(([name, value]) => `${name}: ${value}\r\n`)
      const status = STATUS_LINES[error.code ?? ''] ?? '400 Bad Request'
      socket.end(`HTTP/1.1 ${status}\r\n${headers.join('')}connection: close\r\ncontent-length: 0\r\n\r\n`)
    },
  }
}
