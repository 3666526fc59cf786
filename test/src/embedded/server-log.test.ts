import { expect, test } from 'vitest'
import { createServerLog } from '../../../src/embedded/server-log.ts'

function record() {
  const passed: string[] = []
  return { passed, log: createServerLog((chunk) => passed.push(chunk.toString())) }
}

test('the server log passes bytes on at once while it holds nothing back', () => {
  const { passed, log } = record()
  log.write(Buffer.from('LOG:  server pro'))
  log.write(Buffer.from('cess was terminated\n'))
  expect(passed).toEqual(['LOG:  server pro', 'cess was terminated\n'])
})

test('the server log drops only held lines of the level LOG, with their continuation lines', () => {
  const { passed, log } = record()
  log.hold()
  for (const part of ['LOG:  starting\n\tmore\nWARN', 'ING:  old files\n\tof süß\n[7] FATAL:  no such database\nLOG:  ready\n'])
    log.write(Buffer.from(part))
  expect(passed).toEqual([])
  log.pass('unusual')
  expect(passed).toEqual(['WARNING:  old files\n\tof süß\n[7] FATAL:  no such database\n'])
})

test('the server log passes on all held and later lines after a failure', () => {
  const { passed, log } = record()
  log.hold()
  log.write(Buffer.from('LOG:  starting\nFATAL:  no\n'))
  log.pass('all')
  log.write(Buffer.from('LOG:  later\n'))
  expect(passed).toEqual(['LOG:  starting\nFATAL:  no\n', 'LOG:  later\n'])
})
