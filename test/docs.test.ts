import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ERRORS } from '../src/errors.ts'
import { OPTIONS } from '../src/options.ts'
import { SUPERVISOR_COMMANDS } from '../supervisor/commands.ts'
import { SUPERVISOR_ERRORS } from '../supervisor/errors.ts'
import { OPTIONS as SUPERVISOR_OPTIONS } from '../supervisor/options.ts'
import { COMMANDS_WITH_OPTIONS } from './support/commands-with-options.ts'
import { root, sourceFiles, withoutComments } from './support/import-graph.ts'
import { anchorsOf, linksOf } from './support/markdown.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

describe('docs/config.md', () => {
  /** The rows of the tables with five columns. */
  const rows = [...read('docs/config.md').matchAll(/^\| `([A-Z_]+)` \| ([^|]*) \| ([^|]*) \|( [^|]*|) \| [^|]+ \|$/gm)].map(
    (row) => row.slice(1).map((cell) => cell.trim()),
  )

  test('has a row for each option of the code, with its name, unit, default and range', () => {
    expect(rows.map(([name]) => name).sort()).toEqual(Object.keys(OPTIONS).sort())
    expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length)
    for (const [name, unit, fallback, accepted] of rows) expect([name, unit, fallback, accepted]).toEqual(documented(name!))
  })

  test('names every variable that the supervisor reads or sets, and no other', () => {
    const sources = sourceFiles(['supervisor']).map((file) => withoutComments(read(file)))
    const used = sources.flatMap((text) => [
      ...text.matchAll(/\benv\.([A-Z][A-Z_]+)|\b(PYTHONUNBUFFERED|FORCE_COLOR|CLICOLOR_FORCE): '1'/g),
    ])
    const names = new Set(used.map(([, readOne, setOne]) => readOne ?? setOne!))
    const section = read('docs/config.md').split('## The supervisor')[1]!.split('\n## ')[0]!
    const told = [...section.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name!)
    expect(names.size).toBeGreaterThan(8)
    // Set for children, but not as env.NAME: by the attached database, and by the run.
    const expected = new Set([...names, 'DATABASE_URL', 'SHUTDOWN_TIMEOUT'])
    expect([...expected].sort()).toEqual([...new Set(told)].sort())
  })
})

/** The cells that say what the table in src/options.ts says. */
function documented(name: string): (string | undefined)[] {
  const { unit, fallback, choices, min, max } = OPTIONS[name as keyof typeof OPTIONS] as {
    unit: string
    fallback?: string
    choices?: readonly string[]
    min?: number
    max?: number
  }
  const range = choices?.map((choice) => `\`${choice}\``).join(', ') ?? (min === undefined ? '' : `${min} to ${max}`)
  return [name, unit, fallback === undefined ? '–' : fallback === '' ? '(empty)' : `\`${fallback}\``, range]
}

describe('docs/errors.md', () => {
  const [, ...sections] = read('docs/errors.md').split(/^#{1,2} /m)
  const codes = sections.filter((section) => /^[A-Z_]+\n/.test(section))
  const all: Record<string, { exit: number; hint: string }> = { ...ERRORS, ...SUPERVISOR_ERRORS }

  test('has a section for each code of both tables, and no other', () => {
    expect(codes.map((section) => section.split('\n')[0]!).sort()).toEqual(Object.keys(all).sort())
    expect(Object.keys(all).length).toBe(Object.keys(ERRORS).length + Object.keys(SUPERVISOR_ERRORS).length)
  })

  test.each(Object.entries(all))('%s has its exit status, its meaning and the next step', (code, { exit }) => {
    const text = codes.find((section) => section.startsWith(`${code}\n`)) ?? ''
    expect([...text.matchAll(/Exit\s+status\s+(\d+)\./g)].map(([, status]) => Number(status))).toEqual([exit])
    expect(text.split('\n').filter((line) => line.trim() !== '').length).toBeGreaterThanOrEqual(3)
  })

  test('the table of the web process has every code that only this process answers with', () => {
    const sources = sourceFiles(['src/web']).map(read).join('\n')
    const own = [...sources.matchAll(/(?:code: |refuse\(\s*\d+,\s*)'([A-Z]+_[A-Z_]+)'/g)].map(([, code]) => code!)
    const told = [...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` \| \d+ \|/gm)].map(([, code]) => code)
    expect([...new Set(own)].filter((code) => !(code in ERRORS)).sort()).toEqual(told.sort())
  })

  test('each document and section that a hint names exists', () => {
    for (const { hint } of Object.values(all))
      for (const [, path, title] of hint
        .matchAll(/(?:"([^"]+)" in )?(docs\/[a-z]+\.md)(?:, "([^"]+)")?/g)
        .map((m) => [m[0], m[2]!, m[1] ?? m[3]])) {
        expect(existsSync(join(root, path!)), `${path} of: ${hint}`).toBe(true)
        if (title !== undefined) expect(read(path!), hint).toMatch(new RegExp(`^#+ ${title}$`, 'm'))
      }
  })
})

describe('docs/tasks.md', () => {
  const text = read('docs/tasks.md')
  const source = ['task-options', 'task-context', 'apply-options'].map((name) => read(`src/app/${name}.ts`)).join('\n')

  /** The fields and methods of an interface, without those that it extends. */
  const fieldsOf = (name: string): string[] => {
    const [, body = ''] = new RegExp(`interface ${name}\\b[^{]*\\{\\n(.*?)\\n\\}`, 's').exec(source) ?? []
    return [...body.matchAll(/^ {2}(?:readonly )?([a-zA-Z]+)[?(:]/gm)].map(([, field]) => field!)
  }
  /** What stands in the first column of the table whose head begins so. */
  const namesBelow = (head: string): string[] => {
    const table = text
      .slice(text.indexOf(`\n| ${head} |`))
      .trimStart()
      .split('\n\n')[0]!
    const cells = table
      .split('\n')
      .slice(2)
      .map((row) => row.split(' | ')[0]!)
    return cells.flatMap((cell) => [...cell.matchAll(/`([a-zA-Z]+)(?:\([^`]*\))?`/g)].map(([, name]) => name!))
  }

  test.each([
    ['Option', ['TaskOptions', 'BoundTaskOptions', 'RetryPolicy']],
    ['Field', ['TaskContext']],
    ['Option of `retry`', ['RetryOptions']],
    ['Option of `applyAsync` and `sendTask`', ['ApplyOptions']],
    ['Option of `unique`', ['UniqueOptions']],
  ])('has in its table "%s" a row for each field of %j, and no other row', (head, interfaces) => {
    const fields = interfaces.flatMap(fieldsOf)
    expect(fields.length).toBeGreaterThan(2)
    expect(namesBelow(head).sort()).toEqual(fields.sort())
  })
})

describe('docs/cli.md', () => {
  const text = read('docs/cli.md')

  test('names each option of the supervisor with its value and short form', () => {
    for (const [name, spec] of Object.entries(SUPERVISOR_OPTIONS as Record<string, { short?: string; value?: string }>)) {
      expect(text, name).toContain(`--${name}${spec.value === undefined ? '' : ` ${spec.value}`}`)
      if (spec.short !== undefined) expect(text, name).toMatch(new RegExp(`-${spec.short}\\b`))
    }
  })

  test('names each command', () => {
    const roles = [...read('src/main.ts').matchAll(/^ {2}'?([a-z-]+)'?: \(\) => import/gm)].map(([, command]) => command!)
    expect(roles.length).toBeGreaterThan(4)
    for (const command of [...SUPERVISOR_COMMANDS, ...roles]) expect(text).toContain(`onedyno ${command}`)
  })

  test.each(COMMANDS_WITH_OPTIONS)('names each option of %s', (command) => {
    const [, help = ''] = /export const help = `(.*?[^\\])`\n/s.exec(read(`src/commands/${command}.ts`)) ?? []
    const rows = text.split('\n').filter((line) => line.includes(`onedyno ${command}`))
    const own = text.split(`| Option of \`${command}\` |`)[1]?.split('\n\n')[0]
    const options = [...help.matchAll(/^ +(?:(-\w), )?--([a-z-]+)/gm)].filter(([, , name]) => name !== 'help')
    expect(options.length).toBeGreaterThan(0)
    for (const [, short, name] of options)
      expect([...rows, own].join('\n'), name).toMatch(
        new RegExp(short === undefined ? `--${name}\\b` : `--${name}\\b|${short}\\b`),
      )
  })
})

describe('links of the documentation', () => {
  const texts = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root })

  test.each(texts)('of %s lead to existing targets', (file) => {
    const broken = linksOf(read(file)).filter((link) => !/^https?:/.test(link) && !resolves(file, link))
    expect(broken).toEqual([])
  })

  test('to a missing target are found', () => {
    expect(texts.length).toBeGreaterThan(15)
    expect(linksOf('[a](nothing.md) `[b](c.md)`\n```\n[d](e.md)\n```\n')).toEqual(['nothing.md'])
    expect(resolves('README.md', 'docs/nothing.md')).toBe(false)
    expect(resolves('README.md', 'docs/operations.md#no-such-heading')).toBe(false)
    expect(resolves('README.md', 'docs/operations.md#another-major-version')).toBe(true)
  })
})

function resolves(file: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? file : join(dirname(file), path)
  if (!existsSync(join(root, target))) return false
  return anchor === undefined || anchorsOf(read(target)).includes(anchor)
}

describe('sql/queries', () => {
  const names = globSync('sql/queries/*.sql', { cwd: root }).map((file) => file.slice('sql/queries/'.length, -'.sql'.length))
  const sources = sourceFiles(['src']).map(read).join('\n')

  test('each statement begins with a comment about its purpose', () => {
    for (const name of names) expect(read(`sql/queries/${name}.sql`), name).toMatch(/^-- .*\S/)
  })

  test('each parameter of a statement is explained in its header', () => {
    for (const name of names) {
      const text = read(`sql/queries/${name}.sql`)
      const header = text
        .split('\n')
        .filter((line) => line.startsWith('--'))
        .join('\n')
      const count = Math.max(0, ...[...text.replace(/--.*$/gm, '').matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)))
      const told = new Set(
        [...header.matchAll(/\$(\d+)(?:\.\.\$(\d+))?/g)].flatMap(([, from, to]) => range(Number(from), Number(to ?? from))),
      )
      expect(
        range(1, count).filter((number) => !told.has(number)),
        `${name}: parameters without a word`,
      ).toEqual([])
    }
  })

  test('each statement is used, and each used statement exists', () => {
    const used = [...sources.matchAll(/\bsql\('([a-z-]+)'\)/g)].map(([, name]) => name!)
    expect(used.filter((name) => !names.includes(name))).toEqual([])
    expect(names.filter((name) => !sources.includes(`'${name}'`))).toEqual([])
  })
})

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)
