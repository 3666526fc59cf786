import { spawn } from 'node:child_process'

/**
 * A shell that outlives the supervisor by at most two seconds. The supervisor writes to its input which process groups start and
 * end. If the input ends while groups are left, the supervisor was killed, and the shell sends SIGTERM to the groups, then
 * SIGKILL. The alternative, PR_SET_PDEATHSIG (setpriv), reaches only the direct child, needs Linux with util-linux, and costs
 * one exec for each child. The watchdog also detects a SIGTERM storm. It has a session of its own, so it receives SIGTERM only
 * if the platform signals every process (Heroku's dyno manager, systemd's KillMode=control-group), and then the children have
 * received SIGTERM too.
 */
const SCRIPT = `
trap 'echo TERM; hit=1' TERM
trap '' HUP INT QUIT PIPE USR1 USR2
groups=' ' hit= file=
while :; do
  if read -r op id; then
    case $op in
      +) groups="$groups$id " ;;
      f) file=$id ;;
      -) groups="\${groups%% $id *} \${groups#* $id }" ;;
    esac
  elif [ "$hit" ]; then hit=
  else break
  fi
done
rm -rf "$1" \${file:+"$file"}
[ "\${groups# }" ] || exit 0
for id in $groups; do kill -TERM -"$id" 2>/dev/null; done
sleep 2
for id in $groups; do kill -KILL -"$id" 2>/dev/null; done
`

export type Watchdog = ReturnType<typeof startWatchdog>

/**
 * Starts the watchdog.
 * @param scratch folder to delete if the supervisor is killed
 * @param onStorm called when the watchdog receives SIGTERM
 */
export function startWatchdog(scratch: string, onStorm: () => void) {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'watchdog', scratch], { stdio: ['pipe', 'pipe', 'ignore'], detached: true })
  const ended = new Promise<void>((resolve) => {
    shell.once('exit', () => resolve())
    shell.once('error', () => resolve())
  })
  // Without the watchdog, children may outlive a kill -9 of the supervisor. Nothing else depends on it.
  shell.stdin.on('error', () => {})
  shell.stdout.on('data', onStorm)
  const send = (line: string) => {
    if (shell.stdin.writable) shell.stdin.write(line)
  }
  return {
    add: (group: number) => send(`+ ${group}\n`),
    remove: (group: number) => send(`- ${group}\n`),
    /** Sets the file to delete if the supervisor is killed; '' for none. */
    file: (path: string) => send(`f ${path}\n`),
    /** Ends the watchdog. Resolves when it has ended, which is at once if no group is left. */
    close(): Promise<void> {
      shell.stdin.end()
      return ended
    },
  }
}
