import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { execIfSimple } from '../../../supervisor/shell.ts'

test.each(['A=1 sh -c "echo \\$A"', 'echo $HOME "a  b"', "printf '%s;%s' a b"])(
  'the command %s prints the same if the shell runs it with exec',
  (command) => {
    const output = (text: string) => execFileSync('/bin/sh', ['-c', text], { encoding: 'utf8' })
    expect(execIfSimple(command)).toContain('exec ')
    expect(output(execIfSimple(command))).toBe(output(command))
  },
)
