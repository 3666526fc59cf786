/** Media types that are text although they are not called so. */
const TEXT =
  /^(text\/|application\/(json|xml|javascript|ecmascript|x-www-form-urlencoded|graphql|x-ndjson|yaml)$)|\+(json|xml|yaml)$/

/**
 * A body as text in the charset that its header names (UTF-8 when it names none), or undefined when it is none: then only base64 keeps it.
 * Whatever calls itself text is decoded, wrong bytes replaced, as a browser does; what says nothing has to be valid UTF-8 without NUL.
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
    return new TextDecoder('utf-8') // a charset that nobody knows
  }
}
