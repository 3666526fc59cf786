import { PassThrough, Writable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createFormat } from '../../supervisor/formats.ts'
import { createLogRing } from '../../supervisor/log-ring.ts'
import { createOutput, type OutputOptions, type Source } from '../../supervisor/output.ts'

const format = () =>
  createFormat({ format: '{name}|{text}', names: ['a.1', 'b.1'], tty: false, colour: false, stamped: true, prefix: true })

function open(stream: Writable, more: Partial<OutputOptions> = {}) {
  return createOutput({
    stream,
    format: format(),
    quiet: () => false,
    onSlow: 'block',
    onBroken: () => {},
    onBlock: () => {},
    ...more,
  })
}
const push = (source: Source, text: string) => source.push(Buffer.from(text), Buffer.byteLength(text))

/** A stream whose write completes only when `release` is called. */
function createSlowStream() {
  const writes: string[] = []
  let release = () => {}
  const stream = new Writable({
    write(chunk, _encoding, done) {
      writes.push(String(chunk))
      release = done
    },
  })
  return { stream, writes, release: () => release() }
}

test('the output sends all lines of one turn in one write', async () => {
  const { stream, writes } = createSlowStream()
  const output = open(stream)
  const [a, b] = [output.source('a.1'), output.source('b.1')]
  push(a, 'one\ntw')
  push(b, 'x\n')
  push(a, 'o\n')
  await turn()
  expect(writes).toEqual(['a.1   |one\nb.1   |x\na.1   |two\n'])
})

test('the output pauses the children and keeps new lines while a write is pending', async () => {
  const { stream, writes, release } = createSlowStream()
  const output = open(stream)
  const calls: string[] = []
  const a = output.source('a.1', { pause: () => calls.push('pause'), resume: () => calls.push('resume') })
  push(a, 'one\n')
  await turn()
  push(a, 'two\n')
  await turn()
  expect([calls, writes.length, output.held]).toEqual([['pause'], 1, true])
  release()
  await turn()
  expect(writes).toEqual(['a.1   |one\n', 'a.1   |two\n'])
  expect(calls).toEqual(['pause', 'resume', 'pause'])
})

test('the output is held for a source that opens while a write is pending', async () => {
  const { stream } = createSlowStream()
  const output = open(stream)
  push(output.source('a.1'), 'one\n')
  await turn()
  expect(output.held).toBe(true)
})

test('with the option "drop", the output pauses no child, drops lines that do not fit and logs their number', async () => {
  const { stream, writes, release } = createSlowStream()
  const output = open(stream, { onSlow: 'drop' })
  const calls: string[] = []
  const a = output.source('a.1', { pause: () => calls.push('pause'), resume: () => {} })
  push(a, 'one\n')
  await turn()
  push(a, `${'x'.repeat(9_000)}\n`.repeat(20))
  push(a, 'lost\nlost, too\n')
  release()
  await turn()
  release()
  push(a, 'four\n')
  await turn()
  expect(writes[1]).toContain('xxx\nsystem|2 lines dropped: the reader of this log was too slow\n')
  expect(writes.slice(2)).toEqual(['a.1   |four\n'])
  expect(calls).toEqual([])
})

test('flushed() of the output resolves when the last byte is written', async () => {
  const { stream, release } = createSlowStream()
  const output = open(stream)
  const a = output.source('a.1')
  push(a, 'half')
  a.end()
  let done = false
  const flushed = output.flushed().then(() => {
    done = true
  })
  await turn()
  await turn()
  expect(done).toBe(false)
  release()
  await flushed
})

test('a closed output is reported once, and the children are still read', async () => {
  const broken: string[] = []
  const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) })
  const output = open(stream, { onBroken: (error) => broken.push(error.message) })
  const calls: string[] = []
  const a = output.source('a.1', { pause: () => calls.push('pause'), resume: () => calls.push('resume') })
  push(a, 'one\n')
  await turn()
  push(a, 'two\n')
  await turn()
  await output.flushed()
  expect(broken).toEqual(['EPIPE'])
  expect(calls.at(-1)).not.toBe('pause')
})

test('the output does not overwrite a buffer that the stream keeps', async () => {
  const stream = new PassThrough({ highWaterMark: 1 << 20 })
  const output = open(stream)
  const a = output.source('a.1')
  for (let i = 0; i < 3; i += 1) {
    push(a, `line ${i}\n`)
    await turn()
  }
  expect(String(stream.read())).toBe('a.1   |line 0\na.1   |line 1\na.1   |line 2\n')
})

test('the log ring stores also the lines of hidden processes', async () => {
  const { stream, writes } = createSlowStream()
  const ring = createLogRing()
  const output = open(stream, { quiet: (name) => name === 'a.1', onBlock: ring.add })
  push(output.source('a.1'), 'hidden\n')
  push(output.source('b.1'), 'shown\n')
  await turn()
  expect(writes.join('')).toBe('b.1   |shown\n')
  expect(ring.read(() => true)).toBe('a.1   |hidden\nb.1   |shown\n')
})

test('the log ring stores the last 1,000 lines of each process in the order of arrival', () => {
  const ring = createLogRing()
  for (let i = 0; i < 3_000; i += 1) {
    ring.add('a', Buffer.from(`a${i}\n`))
    if (i % 3 === 0) ring.add('b', Buffer.from(`b${i}\n`))
  }
  const lines = ring
    .read(() => true)
    .trim()
    .split('\n')
  expect(lines.length).toBe(2_000)
  expect(lines.slice(-4)).toEqual(['a2997', 'b2997', 'a2998', 'a2999'])
  expect(ring.read((name) => name === 'a').startsWith('a2000\n')).toBe(true)
})

test('the log ring stores only the last whole lines of long blocks', () => {
  const ring = createLogRing()
  const block = Buffer.from(`${'x'.repeat(999)}\n`.repeat(1_200))
  for (let i = 0; i < 5; i += 1) ring.add('a', Buffer.concat([block, Buffer.from(`end ${i}\n`)]))
  const lines = ring
    .read(() => true)
    .split('\n')
    .slice(0, -1)
  expect(lines.at(-1)).toBe('end 4')
  expect(lines.length).toBeGreaterThan(500)
  expect(lines.every((line) => line.length === 999 || line.startsWith('end '))).toBe(true)
})
