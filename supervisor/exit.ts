import { constants } from 'node:os'

/** How a process ended. */
export type Exit = { readonly code: number } | { readonly signal: NodeJS.Signals }

export const isSuccess = (exit: Exit): boolean => 'code' in exit && exit.code === 0

export const signalNumber = (signal: NodeJS.Signals): number => constants.signals[signal]

/** Returns the exit status as a shell reports it: 128 + n for a death by signal n (POSIX.1-2024, XCU 2.8.2). */
export const exitCode = (exit: Exit): number => ('code' in exit ? exit.code : 128 + signalNumber(exit.signal))
