import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { createKeepAwake } from '../../../src/tasks/keep-awake.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

const listen = async (handler: RequestListener) => {
  const server = createServer(handler)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const recordingLog = () => {
  const lines: string[] = []
  return {
    lines,
    log: pino(
      { base: null, timestamp: false },
      { write: (line: string) => lines.push(`${JSON.parse(line).level} ${JSON.parse(line).msg}`) },
    ),
  }
}
const signal = new AbortController().signal

test('keep_awake requests /ping of the public URL, and logs a new state once', async () => {
  const paths: (string | undefined)[] = []
  const publicUrl = await listen((request, response) => {
    paths.push(request.url)
    response.end('pong')
  })
  const { lines, log } = recordingLog()
  const keepAwake = createKeepAwake({ publicUrl }, log)
  expect(await keepAwake({ signal })).toEqual({ url: `${publicUrl}/ping`, awake: true, status: 200 })
  await keepAwake({ signal })
  expect(paths).toEqual(['/ping', '/ping'])
  expect(lines).toEqual(['30 public URL answers, kept awake by visits'])
})

test('keep_awake does not fail on router errors, but logs their begin as a warning and their end as a line', async () => {
  let status = 503
  const publicUrl = await listen((_request, response) => response.writeHead(status).end())
  const { lines, log } = recordingLog()
  const keepAwake = createKeepAwake({ publicUrl }, log)
  expect(await keepAwake({ signal })).toMatchObject({ awake: false, status: 503 })
  expect(await keepAwake({ signal })).toMatchObject({ awake: false })
  status = 404
  expect(await keepAwake({ signal })).toMatchObject({ awake: true, status: 404 })
  expect(lines).toEqual([
    '40 public URL does not answer, the platform may put this service to sleep',
    '30 public URL answers again',
  ])
})

test('keep_awake accepts a redirect as an answer and does not follow it', async () => {
  let elsewhere = 0
  const other = await listen((_request, response) => {
    elsewhere += 1
    response.end()
  })
  const publicUrl = await listen((_request, response) => response.writeHead(301, { location: other }).end())
  expect(await createKeepAwake({ publicUrl }, recordingLog().log)({ signal })).toMatchObject({ awake: true, status: 301 })
  expect(elsewhere).toBe(0)
})

test('keep_awake reports a timeout', async () => {
  const publicUrl = await listen(() => {})
  expect(await createKeepAwake({ publicUrl }, recordingLog().log, 50)({ signal })).toMatchObject({
    awake: false,
    error: 'no answer in time',
  })
})

test('keep_awake reports a refused connection', async () => {
  const publicUrl = await listen(() => {})
  const server = servers.pop()!
  await new Promise((resolve) => server.close(resolve))
  expect(await createKeepAwake({ publicUrl }, recordingLog().log)({ signal })).toMatchObject({
    awake: false,
    error: expect.stringContaining('ECONNREFUSED'),
  })
})

test('keep_awake returns the name of the variable to set if the public URL is unknown', async () => {
  expect(await createKeepAwake({ publicUrl: undefined }, recordingLog().log)({ signal })).toEqual({
    url: null,
    awake: false,
    error: 'no public URL is known: set PUBLIC_URL',
  })
})
