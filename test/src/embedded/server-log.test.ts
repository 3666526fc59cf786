import { expect, test } from 'vitest'
import { createServerLog } from '../../../src/embedded/server-log.ts'

function record() {
  const passed: string[] = []
  return { passed, log: createServerLog((chunk) => passed.push(chunk.toString())) }
}

test('bytes go through at once while nothing is held', () => {
  const { passed, log } = record()
  log.write(Buffer.from('LOG:  server pro'))
  log.write(Buffer.from('cess was terminated\n'))
  expect(passed).toEqual(['LOG:  server pro', 'cess was terminated\n'])
})

test('of what is held only lines at level LOG are dropped, and those that continue them', () => {
  const { passed, log } = record()
  log.hold()
  for (const part of ['LOG:  starting\n\tmore\nWARN', 'ING:  old files\n\tof süß\n[7] FATAL:  no such database\nLOG:  ready\n'])
    log.write(Buffer.from(part))
  expect(passed).toEqual([])
  log.pass('unusual')
  expect(passed).toEqual(['WARNING:  old files\n\tof süß\n[7] FATAL:  no such database\n'])
})

test('after a failure everything is passed on, and what follows too', () => {
  const { passed, log } = record()
  log.hold()
  log.write(Buffer.from('LOG:  starting\nFATAL:  no\n'))
  log.pass('all')
  log.write(Buffer.from('LOG:  later\n'))
  expect(passed).toEqual(['LOG:  starting\nFATAL:  no\n', 'LOG:  later\n'])
})
