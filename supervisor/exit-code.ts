import { constants } from 'node:os'
import type { Exit } from './process-state.ts'

export const signalNumber = (signal: NodeJS.Signals): number => constants.signals[signal]

/** The shell's convention: 128 + n for a death by signal n (POSIX.1-2024, XCU 2.8.2). */
export const exitCode = (exit: Exit): number => ('code' in exit ? exit.code : 128 + signalNumber(exit.signal))
