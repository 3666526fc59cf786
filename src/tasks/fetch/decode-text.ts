/** Matches media types whose bodies are text. */
const TEXT =
  /^(text\/|application\/(json|xml|javascript|ecmascript|x-www-form-urlencoded|graphql|x-ndjson|yaml)$)|\+(json|xml|yaml)$/

/**
 * Decodes a body with the charset of its Content-Type, by default UTF-8. Returns undefined if the body is not text. If Content-
 * Type says text, invalid bytes are replaced, as in browsers. Without Content-Type the body must be valid UTF-8 without NUL.
 */
export function decodeText(bytes: Buffer, contentType: string | null): string | undefined {
  const [type = '', ...parameters] = (contentType ?? '').split(';').map((part) => part.trim())
  const charset = parameters
    .map((parameter) => /^charset="?([^"]+)"?$/i.exec(parameter)?.[1])
    .find((found) => found !== undefined)
  if (TEXT.test(type.toLowerCase()) || charset !== undefined) return decoderOf(charset).decode(bytes)
  if (type !== '') return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

function decoderOf(charset: string | undefined): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(charset ?? 'utf-8')
  } catch {
    return new TextDecoder('utf-8') // TextDecoder does not support this charset
  }
}
