/** Runs two processes from a program of your own. From the root of the repository, after `npm run build`: `npx node examples/library/run.ts`. */
import { parseProcfile, parseRestart, planFormation, supervise } from 'onedyno/supervisor'

const processes = planFormation(
  parseProcfile(`
clock: for i in 1 2 3; do echo "tick $i on $PORT"; sleep 0.2; done
greeter: echo "hello from $PS"
`),
  { basePort: 8000 },
)

process.exit(await supervise({ processes, format: '{name} | {text}', restart: parseRestart('on-failure'), timeoutMs: 5_000 }))
