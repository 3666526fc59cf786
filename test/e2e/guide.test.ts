import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseProcfile } from '../../supervisor/procfile.ts'
import { createTestSchema, query } from '../support/database.ts'
import { root } from '../support/import-graph.ts'
import { type Block, blocksOf, looksLike } from '../support/markdown.ts'
import { createSandbox, hasProgram, type Sandbox, untilSaid } from '../support/sandbox.ts'

/**
 * Follows docs/guide.md block by block, in the order of the text: writes files, runs commands, compares outputs and queries the database. The
 * word behind a block's language tells what to do with it; a block without that word fails.
 */
const guide = blocksOf(readFileSync(join(root, 'docs/guide.md'), 'utf8'))
const isStep = ({ word }: Block) => !['shown', 'output', 'log'].includes(word)

/** Commands that need an account, the network, the registry or a checkout. Only these may be shown without being run. */
const NOT_LOCAL = /^(heroku |git |npm (install|ci|start|test|run build)\b|mkdir hello|cd (hello|onedyno)$|npx |DATABASE_URL=)/

describe.skipIf(!hasProgram('curl') && process.env.CI !== 'true')('docs/guide.md, followed step by step', () => {
  let sandbox: Sandbox
  let last = ''
  beforeAll(async () => {
    sandbox = await createSandbox()
  })
  afterAll(async () => {
    await sandbox.stop()
    expect(await sandbox.remove()).toEqual([])
  })

  const steps = guide.filter((block) => block.word !== 'shown')
  test.each(steps.map((block) => [`line ${block.line}: ${block.language} ${block.word}`, block] as const))(
    '%s',
    async (_name, block) => {
      last = await follow(sandbox, block, last)
    },
  )

  test('contains TypeScript without type errors', async () => {
    expect(await typeCheck(sandbox)).toBe('')
  })
})

/** @returns the output of the block */
async function follow(sandbox: Sandbox, block: Block, last: string): Promise<string> {
  const { language, word, text } = block
  const adapted = text.replaceAll(':5000', `:${sandbox.port}`)
  if (word.startsWith('file=')) sandbox.write(word.slice('file='.length), text)
  else if (word === 'output') expect(looksLike(last, adapted), `${last}\n\nis not\n\n${adapted}`).toBe(true)
  else if (word === 'log') await untilSaid(sandbox, text)
  else if (word === 'background') sandbox.background(text)
  else if (word === 'stop') expect(await sandbox.stop()).toBe(143)
  else if (language === 'sql' && word === 'test') await ask(sandbox, text)
  else if (language === 'sh' && word === 'test') {
    const { output, code } = await sandbox.run(text)
    expect(code, output).toBe(0)
    return output
  } else throw new Error(`line ${block.line}: nobody knows what to do with "${language} ${word}"`)
  return last
}

/** Every statement must run, and a query must return rows. */
async function ask({ folder }: Sandbox, statements: string): Promise<void> {
  const client = new Client({ host: join(folder, '.onedyno/run'), port: 5432, user: 'onedyno', database: 'onedyno' })
  await client.connect()
  try {
    const results = [await client.query(statements)].flat()
    for (const { command, rows } of results) if (command === 'SELECT') expect(rows.length).toBeGreaterThan(0)
  } finally {
    await client.end()
  }
}

/** @returns the compiler's errors in the files */
async function typeCheck({ folder, run }: Sandbox): Promise<string> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'))
  expect(files.length).toBeGreaterThan(0)
  const options = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { typeRoots: [join(root, 'node_modules/@types')] },
    include: files,
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options))
  const { output } = await run(`node '${join(root, 'node_modules/typescript/bin/tsc')}' -p tsconfig.json`)
  return output
}

describe('blocks of the documentation', () => {
  const texts = [
    'README.md',
    'CONTRIBUTING.md',
    'docs/guide.md',
    'docs/tasks.md',
    'docs/scaling.md',
    'docs/operations.md',
    'examples/README.md',
  ]

  test.each(texts)('%s excludes from the tests only commands that need an account, the network or a server', (name) => {
    const shown = blocksOf(readFileSync(join(root, name), 'utf8')).filter(
      ({ language, word }) => language === 'sh' && word === 'shown',
    )
    const commands = shown.flatMap(({ text }) => text.trimEnd().split(/\n| && /))
    expect(commands.filter((command) => !NOT_LOCAL.test(command))).toEqual([])
  })

  test.each([
    ['a b c', 'a … c', true],
    ['a\nb\nc', 'a\n…', true],
    ['a b d', 'a … c', false],
    ['a b c d', 'a … c', false],
    ['a\nb', 'a', false],
    ['a.b', 'aXb', false],
    ['aXb', 'a.b', false],
  ])('the output %j is compared with the documented output %j (expected to match: %s)', (actual, expected, same) => {
    expect(looksLike(actual, expected)).toBe(same)
  })

  test('docs/guide.md has blocks of every kind', () => {
    expect(guide.filter(isStep).length).toBeGreaterThan(15)
    for (const word of ['test', 'background', 'stop'])
      expect(
        guide.some((block) => block.word === word),
        word,
      ).toBe(true)
  })
})

test('the TypeScript of docs/tasks.md has no type errors', async () => {
  const sandbox = await createSandbox()
  try {
    const blocks = blocksOf(readFileSync(join(root, 'docs/tasks.md'), 'utf8')).filter(({ language }) => language === 'ts')
    expect(blocks.length).toBeGreaterThan(3)
    sandbox.write('package.json', '{ "type": "module" }')
    for (const { text, line } of blocks) sandbox.write(`line-${line}.ts`, text)
    expect(await typeCheck(sandbox)).toBe('')
    sandbox.write('line-0.ts', "import { createApp } from 'onedyno'\ncreateApp().task('a', (x: number) => x).delay('text')\n")
    expect(await typeCheck(sandbox)).toContain('line-0.ts(2,')
  } finally {
    await sandbox.remove()
  }
})

test('the Procfiles of docs/scaling.md are valid and name existing commands', () => {
  const procfiles = blocksOf(readFileSync(join(root, 'docs/scaling.md'), 'utf8')).filter(({ word }) => word === 'file=Procfile')
  expect(procfiles.length).toBe(2)
  for (const { text } of procfiles)
    for (const { command } of parseProcfile(text))
      expect(command).toMatch(/^exec node dist\/src\/main\.js (web|worker|beat|migrate)( --beat)?$/)
})

test('the queries of docs/operations.md run on the migrated schema', async () => {
  const schema = await createTestSchema()
  try {
    const queries = blocksOf(readFileSync(join(root, 'docs/operations.md'), 'utf8')).filter(({ language }) => language === 'sql')
    expect(queries.length).toBeGreaterThan(6)
    for (const { text } of queries)
      await query(schema.url, text.replaceAll('onedyno.', `"${schema.schema}".`).replaceAll(`'"${schema.schema}".`, "'onedyno."))
  } finally {
    await schema.drop()
  }
})

describe.each([
  ['README.md', { procfile: 'worker: exec node_modules/.bin/onedyno worker --app tasks.ts\n' }],
  ['examples/smallest', { procfile: undefined }],
])('%s', (where, { procfile }) => {
  test('has an example that runs its task, prints the result and has no type errors', async () => {
    const sandbox = await createSandbox()
    try {
      for (const [name, text] of filesOf(where)) sandbox.write(name, text)
      if (procfile !== undefined) sandbox.write('Procfile', procfile)
      sandbox.write('package.json', '{ "type": "module" }')
      sandbox.background('npx onedyno start')
      await untilSaid(sandbox, 'worker.1 | worker ready …')
      const url = 'postgresql://onedyno@/onedyno?host=$PWD/.onedyno/run&port=5432'
      expect((await sandbox.run(`DATABASE_URL="${url}" node call.ts`)).output).toMatch(/^[0-9a-f-]{36}:? 5\n$/)
      expect(await typeCheck(sandbox)).toBe('')
      expect(await sandbox.stop()).toBe(143)
    } finally {
      await sandbox.stop()
      expect(await sandbox.remove()).toEqual([])
    }
  })
})

test('examples/workflow retries its first step, finishes its chain, and runs on its schedule', async () => {
  const sandbox = await createSandbox()
  try {
    for (const [name, text] of filesOf('examples/workflow')) sandbox.write(name, text)
    sandbox.write('package.json', '{ "type": "module" }')
    sandbox.background('npx onedyno start')
    await untilSaid(sandbox, 'worker.1 | worker ready …\nweb.1    | web listens …')
    const url = 'postgresql://onedyno@/onedyno?host=$PWD/.onedyno/run&port=5432'
    expect((await sandbox.run(`DATABASE_URL="${url}" node call.ts`)).output).toBe('Oslo: 21 °C\nread after 1 retry\n')
    expect((await sandbox.run('node schedule.ts "1 seconds"')).output).toMatch(/^201 /)
    await untilSaid(sandbox, 'worker.1 | task succeeded task=reports.daily …')
    expect(await typeCheck(sandbox)).toBe('')
    expect(await sandbox.stop()).toBe(143)
  } finally {
    await sandbox.stop()
    expect(await sandbox.remove()).toEqual([])
  }
})

/** Writes the files of an example, or those in a text, with the repository's build in place of the installed package. */
function filesOf(where: string): [name: string, text: string][] {
  if (where.endsWith('.md')) {
    const blocks = blocksOf(readFileSync(join(root, where), 'utf8')).filter(({ word }) => word.startsWith('file='))
    return blocks.map(({ word, text }) => [word.slice('file='.length), text])
  }
  return readdirSync(join(root, where)).map((name) => [
    name,
    readFileSync(join(root, where, name), 'utf8')
      .replaceAll('dist/src/main.js', 'node_modules/onedyno/dist/src/main.js')
      .replaceAll(`${where}/`, ''),
  ])
}
