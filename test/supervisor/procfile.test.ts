import { expect, test } from 'vitest'
import { SupervisorError } from '../../supervisor/errors.ts'
import { parseProcfile } from '../../supervisor/procfile.ts'

const read: { name: string; text: string; entries: [name: string, command: string][] }[] = [
  { name: 'reads a name, a colon and a command', text: 'web: node x', entries: [['web', 'node x']] },
  { name: 'needs no space after the colon', text: 'web:node x', entries: [['web', 'node x']] },
  { name: 'skips blank lines and comments', text: '\n# a: b\n  # c\nweb: x\n\n', entries: [['web', 'x']] },
  { name: 'keeps # and colons in a command', text: 'web: echo "#1" http://x', entries: [['web', 'echo "#1" http://x']] },
  { name: 'removes spaces at the end of a command', text: 'web: x  ', entries: [['web', 'x']] },
  {
    name: 'accepts Windows line ends and a byte order mark',
    text: '\uFEFFweb: x\r\nb: y\r\n',
    entries: [
      ['web', 'x'],
      ['b', 'y'],
    ],
  },
  { name: 'accepts digits, dashes and underscores in a name', text: 'a-B_3: x', entries: [['a-B_3', 'x']] },
]
test.each(read)('the parser of the Procfile $name', ({ text, entries }) => {
  expect(parseProcfile(text).map((entry) => [entry.name, entry.command])).toEqual(entries)
})

const refused: { name: string; text: string; message: RegExp }[] = [
  {
    name: 'rejects a line without a colon, with its number',
    text: 'a: b\nweb echo',
    message: /^Procfile:2: no ":" after the name: "web echo"$/,
  },
  { name: 'rejects a name with a dot', text: 'web.x: y', message: /Procfile:1: a name has only letters/ },
  { name: 'rejects a name with an accent', text: 'wéb: y', message: /Procfile:1: a name has only letters/ },
  {
    name: 'rejects a line that starts with a space',
    text: 'web: a \\\n  b',
    message: /Procfile:2: a line may not start with a space/,
  },
  { name: 'rejects a name without a command', text: 'web: ', message: /Procfile:1: no command/ },
  {
    name: 'rejects a duplicate name, with both lines',
    text: 'a: x\nb: y\na: z',
    message: /Procfile:3: "a" is already defined on line 1/,
  },
  { name: 'rejects a file without processes', text: '# nothing\n', message: /No processes defined/ },
  { name: 'reports all invalid lines at once', text: 'x\ny', message: /Procfile:1.*\nProcfile:2/ },
]
test.each(refused)('the parser of the Procfile $name', ({ text, message }) => {
  expect(() => parseProcfile(text)).toThrow(SupervisorError)
  expect(() => parseProcfile(text)).toThrow(message)
})
