import { execFileSync } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findCycle, type Import, importsOf, readSource, root, sourceFiles, withoutComments } from './support/import-graph.ts'
import { refusalOf, roomOf } from './support/import-rules.ts'
import { RETIRED } from './support/retired-names.ts'
import { commentsOf, identifiersOf, pathsIn } from './support/source-text.ts'

const files = sourceFiles(['src', 'supervisor'])
const imports = files.flatMap((file) => importsOf(file, readSource(file)))

describe('the rules for imports', () => {
  test('every import of the sources is allowed', () => {
    expect(imports.length).toBeGreaterThan(300)
    expect(imports.map(refusalOf).filter((refusal) => refusal !== undefined)).toEqual([])
  })

  test('every import leads to an existing file', () => {
    const ours = imports.filter(({ to }) => roomOf(to) !== undefined)
    expect(ours.filter(({ to }) => !existsSync(join(root, to)))).toEqual([])
  })

  test('no imports form a cycle, not even imports of types', () => {
    expect(findCycle(imports)).toBeUndefined()
  })

  test('every room that the architecture names exists', () => {
    const rooms = new Set(files.map(roomOf))
    const named =
      'concurrency base message schedule embedded app database broker control testing tasks worker beat web commands main index supervisor'
    expect([...rooms].sort()).toEqual(named.split(' ').sort())
  })

  test('only the files at the edges read the environment', () => {
    const readers = files.filter((file) => readsEnvironment(readSource(file)))
    expect(readers).toEqual(['src/index.ts', 'src/main.ts', 'supervisor/init.ts', 'supervisor/lifecycle.ts'])
  })

  test('only sql.ts and migrate.ts open sql/', () => {
    const readers = files.filter((file) => opensSql(readSource(file)))
    expect(readers).toEqual(['src/database/migrate.ts', 'src/database/sql.ts'])
  })
})

describe('comments and names', () => {
  const tracked = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).split('\n')
  const exists = (path: string) =>
    tracked.some((file) => file === path || file.endsWith(`/${path}`) || file.startsWith(`${path.replace(/\/$/, '')}/`))
  const sources = [...files, ...globSync('sql/**/*.sql', { cwd: root })]

  test('every file that a comment cites exists', () => {
    const missing = sources.flatMap((file) =>
      pathsIn(commentsOf(file, readSource(file)))
        .filter((path) => !exists(path))
        .map((path) => `${file} cites ${path}`),
    )
    expect(missing).toEqual([])
  })

  test('no source uses a retired name', () => {
    const found = sources.flatMap((file) =>
      [...identifiersOf(file, readSource(file))]
        .filter((name) => Object.hasOwn(RETIRED, name))
        .map((name) => `${file}: ${name} is called ${RETIRED[name]} now`),
    )
    expect(found).toEqual([])
  })

  test('paths are found in comments only, and identifiers in code only', () => {
    const text =
      "// see docs/x.md, src/app/ and rate.ts\nconst sequel = 'alike' // https://example.com/docs/y.md\n`%{wish} told`".replace(
        '%',
        '$',
      )
    expect(pathsIn(commentsOf('a.ts', text))).toEqual(['docs/x.md', 'src/app', 'rate.ts'])
    expect([...identifiersOf('a.ts', text)]).toEqual(['const', 'sequel', 'wish'])
    expect(pathsIn(commentsOf('a.sql', "SELECT 'docs/x.md' -- see docs/y.md"))).toEqual(['docs/y.md'])
    expect([...identifiersOf('a.sql', 'SELECT alike -- sequel')]).toEqual(['SELECT', 'alike'])
  })
})

const readsEnvironment = (text: string) => /\bprocess\.env\b|\benv\b[^'";]*from 'node:process'/.test(withoutComments(text))
const opensSql = (text: string) => /['"`](?:\.\.\/)*sql['"`/]/.test(withoutComments(text))

describe('the check of the rules', () => {
  const found = (from: string, code: string) => importsOf(from, code).map(refusalOf)

  test.each<[what: string, from: string, code: string]>([
    ['the supervisor imports src', 'supervisor/lifecycle.ts', "import { ERRORS } from '../src/errors.ts'"],
    ['the supervisor imports a type of src', 'supervisor/lifecycle.ts', "import type { Log } from '../src/log.ts'"],
    ['the supervisor imports a library', 'supervisor/lifecycle.ts', "import { pino } from 'pino'"],
    ['a role imports another role', 'src/web/app.ts', "import { startWorker } from '../worker/worker.ts'"],
    ['a role imports another role at run time', 'src/worker/worker.ts', "const { x } = await import('../beat/beat.ts')"],
    ['a role imports a command', 'src/beat/beat.ts', "import { runRole } from '../commands/role.ts'"],
    ['a pure room reads files', 'src/schedule/parse.ts', "import { readFileSync } from 'node:fs'"],
    ['a pure room imports pg', 'src/app/app.ts', "import type { Client } from 'pg'"],
    ['a pure room imports the database', 'src/message/message.ts', "import { sql } from '../database/sql.ts'"],
    ['message imports app', 'src/message/message.ts', "import { STATES } from '../app/outcome.ts'"],
    ['the room concurrency reads files', 'src/concurrency/pump.ts', "import { readFileSync } from 'node:fs'"],
    ['the room concurrency imports the base', 'src/concurrency/pump.ts', "import { AppError } from '../errors.ts'"],
    ['the base imports a room', 'src/config.ts', "import { parse } from './schedule/parse.ts'"],
    ['the database imports the broker', 'src/database/results.ts', "import type { Broker } from '../broker/broker.ts'"],
    ['a command imports the supervisor', 'src/commands/start.ts', "import { supervise } from '../../supervisor/supervise.ts'"],
    ['a role imports a type of the supervisor', 'src/web/app.ts', "import type { A } from '../../supervisor/supervise.ts'"],
    ['pg outside the database', 'src/broker/postgres/broker.ts', "import { Pool } from 'pg'"],
    ['amqplib outside its broker', 'src/broker/postgres/broker.ts', "import amqp from 'amqplib'"],
    ['ioredis outside its broker', 'src/broker/broker.ts', "import type { Redis } from 'ioredis'"],
    ['a plug-in of Fastify outside web', 'src/worker/worker.ts', "import cookie from '@fastify/cookie'"],
    ['undici outside tasks', 'src/web/app.ts', "import { request } from 'undici'"],
    ['execa in src', 'src/worker/worker.ts', "import { execa } from 'execa'"],
    ['cron-parser by require outside schedule', 'src/beat/tick.ts', "createRequire(import.meta.url)('cron-parser')"],
    ['an import of typebox as a value', 'src/app/task.ts', "import { Type } from 'typebox'"],
    ['an import of piscina at the start', 'src/worker/threads/pool.ts', "import { Piscina } from 'piscina'"],
    ['an import of ajv at the start', 'src/app/calls/arguments.ts', "import { Ajv } from 'ajv'"],
    ['a package without a rule', 'src/web/app.ts', "import _ from 'lodash/fp'"],
    ['an import that is spread over lines', 'src/web/app.ts', "import {\n  a,\n  type B,\n} from '../worker/worker.ts'"],
    ['an export with "from"', 'src/index.ts', "export { supervise } from '../supervisor/supervise.ts'"],
  ])('finds a violation: %s', (_what, from, code) => {
    expect(found(from, code)).toEqual([expect.stringContaining(`${from} imports `)])
  })

  test.each<[what: string, from: string, code: string]>([
    ['an import of a type with the keyword type', 'src/app/task.ts', "import { type Static, type TSchema } from 'typebox'"],
    [
      'a require() of ajv when it is needed',
      'src/app/calls/arguments.ts',
      "const { Ajv } = createRequire(import.meta.url)('ajv')",
    ],
    ['an import of a lower room', 'src/web/app.ts', "import { sql } from '../database/sql.ts'"],
    [
      'an import of a type of the supervisor in start',
      'src/commands/start.ts',
      "import type { A } from '../../supervisor/supervise.ts'",
    ],
  ])('finds no violation: %s', (_what, from, code) => {
    expect(found(from, code)).toEqual([undefined])
  })

  test('ignores an import in a comment', () => {
    expect(importsOf('src/a.ts', "// import { a } from 'pg'\n/* import b from 'pg' */\n * from 'pg'")).toEqual([])
  })

  test('finds a cycle of imports of values or of types', () => {
    const arrow = (from: string, to: string, typeOnly = false): Import => ({ from, to, typeOnly, lazy: false })
    expect(findCycle([arrow('a', 'b'), arrow('b', 'c'), arrow('c', 'b')])).toEqual(['b', 'c', 'b'])
    expect(findCycle([arrow('a', 'b'), arrow('b', 'a', true)])).toEqual(['a', 'b', 'a'])
    expect(findCycle([arrow('a', 'b'), arrow('a', 'c', true), arrow('b', 'c')])).toBeUndefined()
  })

  test('finds a file that reads the environment or opens sql/', () => {
    expect(readsEnvironment('const a = process.env.HOME')).toBe(true)
    expect(readsEnvironment("import { env } from 'node:process'")).toBe(true)
    expect(readsEnvironment('type A = NodeJS.ProcessEnv // process.env')).toBe(false)
    expect(opensSql("readFileSync(join(root, 'sql', name))")).toBe(true)
    expect(opensSql("readFileSync('../sql/queries/a.sql')")).toBe(true)
    expect(opensSql("import { sql } from './sql.ts'; sql('result-find')")).toBe(false)
  })
})
