import { spawn } from 'node:child_process'

/**
 * A shell that outlives us by two seconds at most. It reads the process groups that we start and end; when its input ends
 * although groups are left, the supervisor was killed, and it ends them: SIGTERM, then SIGKILL. Of the ways to do this,
 * PR_SET_PDEATHSIG (setpriv) reaches only the direct child, exists on Linux with util-linux alone, and costs an exec each.
 *
 * It is the canary of a SIGTERM storm, too: it stands in a session of its own, so if it gets a SIGTERM when we do, somebody
 * signalled every process here (Heroku's dyno manager, systemd's KillMode=control-group), and the children have theirs.
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
 * @param scratch a folder to remove when we are killed
 * @param onStorm called when the watchdog itself gets a SIGTERM
 */
export function startWatchdog(scratch: string, onStorm: () => void) {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'watchdog', scratch], { stdio: ['pipe', 'pipe', 'ignore'], detached: true })
  const ended = new Promise<void>((resolve) => {
    shell.once('exit', () => resolve())
    shell.once('error', () => resolve())
  })
  // Without it children may outlive a kill -9 of ours; nothing else depends on it.
  shell.stdin.on('error', () => {})
  shell.stdout.on('data', onStorm)
  const tell = (line: string) => {
    if (shell.stdin.writable) shell.stdin.write(line)
  }
  return {
    add: (group: number) => tell(`+ ${group}\n`),
    remove: (group: number) => tell(`- ${group}\n`),
    /** A file to remove when we are killed; '' for none. */
    file: (path: string) => tell(`f ${path}\n`),
    /** Resolves when it has ended, which is at once when no group is left. */
    close(): Promise<void> {
      shell.stdin.end()
      return ended
    },
  }
}
