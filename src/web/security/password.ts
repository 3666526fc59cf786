import { createHash, timingSafeEqual } from 'node:crypto'

const digest = (text: string) => createHash('sha256').update(text).digest()

/**
 * Creates a check that compares digests in constant time, so the duration reveals neither the first difference nor the length.
 */
export function createPasswordCheck(password: string): (given: string) => boolean {
  const expected = digest(password)
  return (given) => timingSafeEqual(digest(given), expected)
}
