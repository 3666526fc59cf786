import { expect, test } from 'vitest'
import { parsePostmasterFile } from '../../../src/embedded/postmaster-file.ts'

const SOCKET = { pid: 4242, isStandalone: false, port: 5432, socketDirectory: '/srv/run', status: 'ready' }

test.each([
  ['a server that is ready', '4242\n/srv/data\n1700000000\n5432\n/srv/run\n\n  5432001    131072\nready   \n', SOCKET],
  ['a server that has not written its status', '4242\n/srv/data\n1700000000\n5432\n/srv/run\n\n', { ...SOCKET, status: '' }],
  [
    'a server on TCP only',
    '4242\nC:/data\n1700000000\n51000\n\n127.0.0.1\n1 2\nstarting\n',
    { ...SOCKET, port: 51_000, socketDirectory: '', status: 'starting' },
  ],
  [
    'a single-user session',
    '-4242\n/srv/data\n1700000000\n5432\n',
    { ...SOCKET, isStandalone: true, socketDirectory: '', status: '' },
  ],
  ['an empty file gives undefined', '', undefined],
  ['a file in another format gives undefined', 'hello\n', undefined],
])('the file postmaster.pid is parsed: %s', (_name, text, expected) => {
  expect(parsePostmasterFile(text)).toEqual(expected)
})
