import { expect, test } from 'vitest'
import { SupervisorError } from '../../supervisor/errors.ts'
import { parseProcfile } from '../../supervisor/procfile.ts'

const read: { name: string; text: string; entries: [name: string, command: string][] }[] = [
  { name: 'a name, a colon and a command', text: 'web: node x', entries: [['web', 'node x']] },
  { name: 'no space is needed after the colon', text: 'web:node x', entries: [['web', 'node x']] },
  { name: 'blank lines and comments are skipped', text: '\n# a: b\n  # c\nweb: x\n\n', entries: [['web', 'x']] },
  { name: 'a command keeps its # and its colons', text: 'web: echo "#1" http://x', entries: [['web', 'echo "#1" http://x']] },
  { name: 'spaces at the end are no part of a command', text: 'web: x  ', entries: [['web', 'x']] },
  {
    name: 'Windows line ends and a byte order mark are read',
    text: '\uFEFFweb: x\r\nb: y\r\n',
    entries: [
      ['web', 'x'],
      ['b', 'y'],
    ],
  },
  { name: 'names may have digits, dashes and underscores', text: 'a-B_3: x', entries: [['a-B_3', 'x']] },
]
test.each(read)('$name', ({ text, entries }) => {
  expect(parseProcfile(text).map((entry) => [entry.name, entry.command])).toEqual(entries)
})

const refused: { name: string; text: string; message: RegExp }[] = [
  {
    name: 'a line without a colon is refused with its number',
    text: 'a: b\nweb echo',
    message: /^Procfile:2: no ":" after the name: "web echo"$/,
  },
  { name: 'a name with a dot is refused', text: 'web.x: y', message: /Procfile:1: a name has only letters/ },
  { name: 'a name with an accent is refused', text: 'wéb: y', message: /Procfile:1: a name has only letters/ },
  {
    name: 'a line that starts with a space is refused',
    text: 'web: a \\\n  b',
    message: /Procfile:2: a line may not start with a space/,
  },
  { name: 'a name without a command is refused', text: 'web: ', message: /Procfile:1: no command/ },
  {
    name: 'a name that stands twice is refused with both lines',
    text: 'a: x\nb: y\na: z',
    message: /Procfile:3: "a" stands on line 1 already/,
  },
  { name: 'a file without processes is refused', text: '# nothing\n', message: /No processes defined/ },
  { name: 'all wrong lines are told at once', text: 'x\ny', message: /Procfile:1.*\nProcfile:2/ },
]
test.each(refused)('$name', ({ text, message }) => {
  expect(() => parseProcfile(text)).toThrow(SupervisorError)
  expect(() => parseProcfile(text)).toThrow(message)
})
