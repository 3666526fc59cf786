import { createInterface } from 'node:readline/promises'
import { AppError } from '../errors.ts'

/** Asks a person at the terminal. Ctrl-C and Ctrl-D mean no. @throws AppError USAGE if there is no terminal */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new AppError('USAGE', `${question} There is no terminal to ask: confirm with --force`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error
    process.stderr.write('\n')
    return false
  } finally {
    terminal.close()
  }
}
