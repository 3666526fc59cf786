/**
 * As PID 1 a process inherits every orphan and must reap it; Node waits for its own children only, so they would pile up as
 * zombies. A shell's `wait` reaps whatever comes, so the shell becomes PID 1 (0.7 MB) and runs us beside it: signals are
 * handed on, and our exit code is the shell's.
 */
const SCRIPT = `
exec 3<&0
for s in TERM INT HUP QUIT USR1 USR2; do trap "kill -$s \\$p 2>/dev/null" $s; done
"$@" <&3 3<&- & p=$!
while :; do wait $p; code=$?; kill -0 $p 2>/dev/null || exit $code; done
`

/** Replaces this process where it is PID 1, and does not return then. */
export function yieldPidOne(): void {
  if (process.pid !== 1 || typeof process.execve !== 'function') return
  process.removeAllListeners('warning')
  process.execve(
    '/bin/sh',
    ['sh', '-c', SCRIPT, 'init', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    process.env,
  )
}
