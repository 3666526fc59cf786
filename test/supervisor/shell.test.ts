import { expect, test } from 'vitest'
import { execIfSimple } from '../../supervisor/shell.ts'

const table: [command: string, run: string][] = [
  ['node dist/main.js --port $PORT', 'exec node dist/main.js --port $PORT'],
  ['A=1 B=$C node x', 'A=1 B=$C exec node x'],
  [`gunicorn -b "0:1;2" 'a b|c'`, `exec gunicorn -b "0:1;2" 'a b|c'`],
  ['./bin/x > log.txt', 'exec ./bin/x > log.txt'],
  ['node x && node y', 'node x && node y'],
  ['node x | tee log', 'node x | tee log'],
  ['node x; node y', 'node x; node y'],
  ['node x &', 'node x &'],
  ['exec node x', 'exec node x'],
  ['cd app', 'cd app'],
  ['exit 3', 'exit 3'],
  ['echo $(date)', 'echo $(date)'],
  ['echo "$(date)"', 'echo "$(date)"'],
  ["A='b c' node x", "A='b c' node x"],
  ['if true', 'if true'],
  [`"a program" x`, `"a program" x`],
  ['echo a # b', 'echo a # b'],
]
test.each(table)('the supervisor gives the command %s to the shell as %s', (command, run) => {
  expect(execIfSimple(command)).toBe(run)
})
