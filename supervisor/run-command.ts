import { execa } from 'execa'
import { SupervisorError } from './errors.ts'
import { signalNumber } from './exit.ts'

export interface RunCommandOptions {
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

/**
 * Runs one command in the foreground; it inherits stdin, stdout and stderr. Resolves with its exit code (128 + n for a death by
 * signal n). The command stays in our process group, so Ctrl-C of the terminal reaches it directly. SIGTERM and SIGHUP are
 * forwarded to the command; Honcho exits instead and leaves the command running.
 * @throws SupervisorError CHILD_NOT_STARTED
 */
export async function runCommand(file: string, args: readonly string[], options: RunCommandOptions): Promise<number> {
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  const ignore = () => {}
  // The listeners are installed before the command starts, because a signal may arrive as soon as the command is visible.
  process.on('SIGINT', ignore).on('SIGTERM', forward).on('SIGHUP', forward)
  const child = execa(file, [...args], { ...options, extendEnv: false, stdio: 'inherit', reject: false, cleanup: true })
  try {
    const result = await child
    if (result.signal !== undefined) return 128 + signalNumber(result.signal)
    if (result.exitCode !== undefined) return result.exitCode
    const why = result.cause instanceof Error && 'code' in result.cause ? String(result.cause.code) : 'unknown cause'
    throw new SupervisorError('CHILD_NOT_STARTED', `cannot run ${JSON.stringify(file)}: ${why}`, { cause: result.cause })
  } finally {
    process.off('SIGINT', ignore).off('SIGTERM', forward).off('SIGHUP', forward)
  }
}
