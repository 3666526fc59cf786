import { createHash, timingSafeEqual } from 'node:crypto'

const digest = (text: string) => createHash('sha256').update(text).digest()

/** Compares in a time that says nothing about where the texts differ, nor how long they are. */
export function createPasswordCheck(password: string): (given: string) => boolean {
  const expected = digest(password)
  return (given) => timingSafeEqual(digest(given), expected)
}
