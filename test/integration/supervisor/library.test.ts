import { PassThrough } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { planFormation } from '../../../supervisor/formation.ts'
import { parseProcfile } from '../../../supervisor/procfile.ts'
import { type Attach, type SuperviseOptions, supervise } from '../../../supervisor/supervise.ts'

/** Starts a run in this process without signal handlers. `text` returns its output. */
function start(procfile: string, more: Partial<SuperviseOptions> = {}) {
  const stdout = new PassThrough()
  let text = ''
  stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const stop = new AbortController()
  const processes = planFormation(parseProcfile(procfile))
  const ended = supervise({ processes, stdout, format: '{name}|{text}', handleSignals: false, signal: stop.signal, ...more })
  return { ended, stop, text: () => text }
}

test('supervise() resolves with the exit code and writes to the given stream', async () => {
  const run = start('a: echo hello; exit 3\n')
  expect(await run.ended).toBe(3)
  expect(run.text()).toMatch(/^a\.1 {3}\|hello$/m)
})

test('an abort signal stops the run as SIGTERM does', async () => {
  const run = start('a: sleep 60\n')
  await delay(100)
  run.stop.abort()
  expect(await run.ended).toBe(143)
})

test('a signal that was aborted before supervise() is called prevents the start of every process', async () => {
  const stopped = AbortSignal.abort()
  const run = start('a: echo never\n', { signal: stopped })
  expect(await run.ended).toBe(143)
  expect(run.text()).not.toContain('never')
})

test('an attached service starts before the children, adds to their environment, logs with a prefix, and stops after them', async () => {
  const attach: Attach = async ({ log }) => {
    const write = log('postgres')
    write(Buffer.from('ready\nhalf '))
    return {
      env: { DATABASE_URL: 'postgres://x' },
      async stop() {
        write(Buffer.from('a line\nstopped'))
      },
    }
  }
  const run = start('a: echo $DATABASE_URL\n', { attach })
  expect(await run.ended).toBe(0)
  expect(run.text().replace(/pid=\d+/, 'pid=0')).toBe(
    'postgres|ready\nsystem  |a.1 started (pid=0)\na.1     |postgres://x\nsystem  |a.1 stopped (rc=0)\npostgres|half a line\npostgres|stopped\n',
  )
})

test('if the attached service fails to start, no child starts and its error is thrown', async () => {
  const run = start('a: echo never\n', {
    attach: async () => {
      throw new Error('no database')
    },
  })
  await expect(run.ended).rejects.toThrow('no database')
  expect(run.text()).not.toContain('never')
})

test('a stop during the start of the attached service aborts this start and ends the run without an error', async () => {
  const run = start('a: echo never\n', {
    attach: ({ signal }) => delay(60_000, undefined, { signal }).then(() => ({ env: {}, stop: async () => {} })),
  })
  await delay(50)
  run.stop.abort()
  expect(await run.ended).toBe(143)
  expect(run.text()).not.toContain('never')
})

test('an attach() that ignores its abort signal is abandoned after the shutdown timeout', async () => {
  const run = start('a: echo never\n', { timeoutMs: 200, attach: () => new Promise(() => {}) })
  run.stop.abort()
  expect(await run.ended).toBe(143)
})

test('an attached service that finishes its start after the stop request is stopped', async () => {
  let stopped = false
  const attach: Attach = async () => {
    await delay(100)
    return {
      env: {},
      stop: async () => {
        stopped = true
      },
    }
  }
  const run = start('a: echo never\n', { attach })
  run.stop.abort()
  expect(await run.ended).toBe(143)
  expect(stopped).toBe(true)
})

test('a stop() of the attached service that never ends is abandoned after the shutdown timeout', async () => {
  const run = start('a: exit 0\n', { timeoutMs: 300, attach: async () => ({ env: {}, stop: () => new Promise(() => {}) }) })
  const before = Date.now()
  expect(await run.ended).toBe(0)
  expect(Date.now() - before).toBeLessThan(2_500)
})

test('children are killed early enough for the attached service to stop within the shutdown timeout', async () => {
  let stopAtMs = 0
  const attach: Attach = async () => ({
    env: {},
    stop: async () => {
      stopAtMs = Date.now()
    },
  })
  const run = start(`a: trap '' TERM; while :; do sleep 0.1; done\n`, { timeoutMs: 1_000, attach })
  await delay(100)
  const before = Date.now()
  run.stop.abort()
  expect(await run.ended).toBe(143)
  expect(stopAtMs - before).toBeLessThan(1_000)
})
