import { expect, test } from 'vitest'
import { parseCommandLine } from '../../supervisor/options.ts'

const table: [argv: string[], command: string | undefined, rest: string[], values: Record<string, unknown>][] = [
  [['start'], 'start', [], {}],
  [['-f', 'P', 'start', 'web'], 'start', ['web'], { procfile: 'P' }],
  [['start', 'web', '-f', 'P', 'worker'], 'start', ['web', 'worker'], { procfile: 'P' }],
  [['-e', '.env.x', 'run', 'ls', '-la'], 'run', ['ls', '-la'], { env: '.env.x' }],
  [['run', '-e', '.env.x', 'ls', '-e', 'y'], 'run', ['ls', '-e', 'y'], { env: '.env.x' }],
  [['run', '--', '-x', '--', 'y'], 'run', ['-x', '--', 'y'], {}],
  [['run', 'a', '--', 'b'], 'run', ['a', '--', 'b'], {}],
  [['start', '--no-color'], 'start', [], { 'no-colour': true }],
  [['--version'], undefined, [], { version: true }],
  [[], undefined, [], {}],
]
test.each(table)(
  'the command line %j is parsed as the command %s with the words %j and the options %j',
  (argv, command, rest, values) => {
    expect(parseCommandLine(argv)).toEqual({ command, rest, values })
  },
)

test.each([[['start', '--bogus']], [['start', '-f']], [['start', '--no-prefix=1']]])(
  'the command line %j is rejected',
  (argv) => {
    expect(() => parseCommandLine(argv)).toThrow(expect.objectContaining({ code: 'SUPERVISOR_USAGE', exit: 2 }))
  },
)
