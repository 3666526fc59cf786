import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createTestSchema, type TestSchema } from '../support/database.ts'
import { root } from '../support/import-graph.ts'

describe('the packages that a process loads', () => {
  let schema: TestSchema
  beforeAll(async () => {
    schema = await createTestSchema()
  })
  afterAll(() => schema.drop())

  test.each([['help'], ['version'], ['check -f Procfile.real'], ['--bogus']])('onedyno %s loads no package', async (argv) => {
    const { packages } = await loadedBy(argv.split(' '))
    expect(packages).toEqual([])
  })

  test('onedyno start with a Procfile of other programs loads only the supervisor and execa', async () => {
    const { packages, files } = await loadedBy(['start', '-f', procfile('job: true')])
    expect(packages.filter((name) => HEAVY.includes(name))).toEqual([])
    expect(files.filter((file) => /dist\/src\/(database|web|worker|beat|broker|app|tasks)\//.test(file))).toEqual([])
    expect(files.some((file) => file.endsWith('dist/supervisor/supervise.js'))).toBe(true)
  })

  test('onedyno start with a DATABASE_URL loads no driver, web framework or logger', async () => {
    const { packages } = await loadedBy(['start', '-f', procfile('beat: echo onedyno beat')], schema.env)
    expect(packages.filter((name) => HEAVY.includes(name))).toEqual([])
  })

  test('web loads fastify, but not undici, execa, amqplib or a migration library', async () => {
    const { packages } = await loadedBy(['web'], { ...schema.env, PORT: '0' }, /url=(\S+)/)
    expect(packages).toEqual(expect.arrayContaining(['fastify', 'pg', 'pino', 'ghtml']))
    for (const name of ['undici', 'execa', 'amqplib', 'ioredis', 'node-pg-migrate', 'typebox'])
      expect(packages).not.toContain(name)
  })

  test('beat loads pg, but not fastify, undici, execa or amqplib', async () => {
    const { packages } = await loadedBy(['beat'], schema.env, /schedule planned/)
    expect(packages).toEqual(expect.arrayContaining(['pg', 'pino']))
    for (const name of ['fastify', 'undici', 'execa', 'amqplib', 'ioredis', 'ghtml', 'ajv', 'typebox'])
      expect(packages).not.toContain(name)
  })

  test('an idle worker loads neither fastify, undici, execa, ajv nor piscina', async () => {
    const { packages } = await loadedBy(['worker'], schema.env, /worker ready/)
    expect(packages).toEqual(expect.arrayContaining(['pg', 'pino']))
    for (const name of ['fastify', 'undici', 'execa', 'amqplib', 'ioredis', 'ghtml', 'ajv', 'typebox', 'piscina'])
      expect(packages).not.toContain(name)
  })
})

/** Packages that a supervisor must not load, because each takes megabytes. */
const HEAVY = [
  'fastify',
  'pg',
  'amqplib',
  'ioredis',
  'pino',
  'undici',
  'ajv',
  'cron-parser',
  'node-pg-migrate',
  'typebox',
  'uuid',
]

interface Loaded {
  /** Names of packages, without duplicates. */
  readonly packages: string[]
  /** Files of this repository. */
  readonly files: string[]
}

/** Runs the built command until it ends, or until its output matches `ready`. Then it requests the page of a web process and stops it. */
async function loadedBy(argv: readonly string[], env: Record<string, string> = {}, ready?: RegExp): Promise<Loaded> {
  const record = join(temporaryFolder(), 'loaded')
  writeFileSync(record, '')
  const preload = join(root, 'test/fixtures/architecture/records-imports.mjs')
  const { PATH = '', HOME = '/' } = process.env
  const child = spawn(process.execPath, ['--import', preload, join(root, 'dist/src/main.js'), ...argv], {
    cwd: root,
    env: { PATH, HOME, NODE_ENV: 'development', ...env, RECORD_IMPORTS: record },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const closed = once(child, 'close')
  if (ready !== undefined) {
    const [, url] = await said(child, ready)
    if (url !== undefined) await (await fetch(url)).text()
    child.kill('SIGTERM')
  }
  await closed
  return readRecord(readFileSync(record, 'utf8'))
}

function said(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let text = ''
    const hear = (chunk: Buffer) => {
      text += chunk
      const match = pattern.exec(text)
      if (match !== null) resolve(match)
    }
    child.stdout!.on('data', hear)
    child.stderr!.on('data', hear)
    child.once('close', () => reject(new Error(`ended without ${pattern}:\n${text}`)))
  })
}

function readRecord(text: string): Loaded {
  const urls = text.split('\n').filter((url) => url.startsWith('file:'))
  const names = urls.map((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1])
  return {
    packages: [...new Set(names.filter((name) => name !== undefined))].sort(),
    files: urls.filter((url) => !url.includes('/node_modules/')),
  }
}

const procfile = (text: string): string => {
  const path = join(temporaryFolder(), 'Procfile')
  writeFileSync(path, `${text}\n`)
  return path
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'onedyno-architecture-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
