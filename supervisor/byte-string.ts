/**
 * A "byte string" has one character per byte (latin1). Output is kept in this form from a child's pipe to ours: no byte is
 * changed, nothing is decoded, and V8's string search and replace run over it at the speed of memchr and memcpy.
 */
export const toByteString = (text: string): string => Buffer.from(text).toString('latin1')

export const fromByteString = (bytes: string): string => Buffer.from(bytes, 'latin1').toString()
