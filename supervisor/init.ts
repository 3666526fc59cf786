/**
 * PID 1 inherits every orphaned process and must reap it. Node reaps only its own children, so orphans would stay as zombies.
 * The `wait` of a shell reaps every child, so a shell becomes PID 1 (0.7 MB) and runs the supervisor as its child. The shell
 * forwards signals and exits with the exit code of the supervisor.
 */
const SCRIPT = `
exec 3<&0
for s in TERM INT HUP QUIT USR1 USR2; do trap "kill -$s \\$p 2>/dev/null" $s; done
"$@" <&3 3<&- & p=$!
while :; do wait $p; code=$?; kill -0 $p 2>/dev/null || exit $code; done
`

/** Replaces this process with the shell if this process is PID 1. In this case the function does not return. */
export function yieldPidOne(): void {
  if (process.pid !== 1 || typeof process.execve !== 'function') return
  process.removeAllListeners('warning')
  process.execve(
    '/bin/sh',
    ['sh', '-c', SCRIPT, 'init', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    process.env,
  )
}
