import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Checkout, createCheckout } from '../support/checkout.ts'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { root } from '../support/import-graph.ts'

/** The release before this one. Its check of the schema cannot be changed: it refuses each name in the table migration that it lacks. */
const RELEASE_BEFORE = 'a68b001'

const ADDS_A_COLUMN = `ALTER TABLE task_result ADD COLUMN made_up text;
INSERT INTO compatible_migration (name, since) VALUES ('9001_adds-a-column', '0003_tasks');`

/** Works with releases that have the column of the migration before, and with none that is older. */
const NEEDS_THAT_COLUMN = `INSERT INTO migration (name, run_on) VALUES ('9002_needs-that-column', now());
INSERT INTO compatible_migration (name, since) VALUES ('9002_needs-that-column', '9001_adds-a-column');`

const BREAKS_ALL = `ALTER TABLE task_result DROP COLUMN made_up;
INSERT INTO migration (name, run_on) VALUES ('9003_breaks-all', now());`

/** Sends a task as an own program does, and prints its result. */
const SENDS = `import { createApp } from './src/index.ts'
const app = createApp()
const [run] = await app.enqueue([{ task: 'tasks.echo', args: ['hello'] }])
console.log(JSON.stringify(await run.get({ timeoutMs: 20000 })))
await app.close()`

const hasHistory = (() => {
  try {
    execFileSync('git', ['cat-file', '-e', `${RELEASE_BEFORE}^{commit}`], { cwd: root, stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!hasHistory)('the previous release', () => {
  let before: Checkout
  let next: Checkout
  let schema: TestSchema
  beforeAll(async () => {
    before = await createCheckout({ commit: RELEASE_BEFORE })
    next = await createCheckout()
    await next.addMigration('9001_adds-a-column', ADDS_A_COLUMN)
  })
  afterAll(async () => {
    await before.drop()
    await next.drop()
  })

  test.each([
    ['runs tasks of the new release, on a schema that the new release created', false],
    ['sends tasks to the new release, on a schema that it created itself', true],
  ])('%s', async (_title, isSender) => {
    schema = await createTestSchema({ migrated: false })
    try {
      if (isSender) expect((await before.onedyno(schema.env, 'migrate')).code).toBe(0)
      expect(await next.onedyno(schema.env, 'migrate')).toMatchObject({ code: 0, stdout: expect.stringContaining('9001_adds') })
      // A rolled-back deploy runs the `onedyno migrate` of the old release, too.
      expect(await before.onedyno(schema.env, 'migrate')).toMatchObject({ code: 0 })
      const [sender, receiver] = isSender ? [before, next] : [next, before]
      const worker = await receiver.startRole('worker', schema.env)
      expect(await sender.script(schema.env, SENDS)).toMatchObject({ code: 0, stdout: '"hello"\n' })
      worker.kill('SIGTERM')
      expect(await worker.exited).toBe(0)
    } finally {
      await schema.drop()
    }
  })

  test('is refused after a migration with which it cannot work', async () => {
    schema = await createTestSchema({ migrated: false })
    try {
      await next.addMigration('9002_needs-that-column', NEEDS_THAT_COLUMN)
      expect((await next.onedyno(schema.env, 'migrate')).code).toBe(0)
      expect(await before.onedyno(schema.env, 'worker')).toMatchObject({
        code: 78,
        stderr: expect.stringContaining('already has 9002_needs-that-column'),
      })
    } finally {
      await schema.drop()
    }
  })
})

describe('this release on the schema of the next release', () => {
  let now: Checkout
  let next: Checkout
  let schema: TestSchema
  beforeAll(async () => {
    now = await createCheckout()
    next = await createCheckout()
    schema = await createTestSchema()
    await next.addMigration('9001_adds-a-column', ADDS_A_COLUMN)
  })
  afterAll(async () => {
    await now.drop()
    await next.drop()
    await schema.drop()
  })

  test('sends and runs tasks after a compatible migration', async () => {
    await next.onedyno(schema.env, 'migrate')
    expect(await now.onedyno(schema.env, 'migrate')).toMatchObject({ code: 0, stdout: expect.stringContaining('applied=0') })
    const worker = await now.startRole('worker', schema.env)
    expect(await now.script(schema.env, SENDS)).toMatchObject({ code: 0, stdout: '"hello"\n' })
    worker.kill('SIGTERM')
    expect(await worker.exited).toBe(0)
  })

  test('is refused, as worker and as sender, after a migration that needs a later release', async () => {
    await next.addMigration('9002_needs-that-column', NEEDS_THAT_COLUMN)
    await next.onedyno(schema.env, 'migrate')
    const refused = 'already has 9002_needs-that-column (which needs a release with 9001_adds-a-column)'
    expect(await now.onedyno(schema.env, 'worker')).toMatchObject({ code: 78, stderr: expect.stringContaining(refused) })
    expect((await now.script(schema.env, SENDS)).stderr).toContain(refused)
    // A release that has 9001_adds-a-column is not refused.
    await now.addMigration('9001_adds-a-column', ADDS_A_COLUMN)
    const worker = await now.startRole('worker', schema.env)
    worker.kill('SIGTERM')
    expect(await worker.exited).toBe(0)
  })

  test('is refused after a migration that does not say which releases can work with it', async () => {
    await next.addMigration('9003_breaks-all', BREAKS_ALL)
    await next.onedyno(schema.env, 'migrate')
    expect(await next.onedyno(schema.env, 'migrate')).toMatchObject({ code: 0 })
    expect(await now.onedyno(schema.env, 'worker')).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('9003_breaks-all'),
    })
  })

  test('is refused if the last migration of this release is not applied', async () => {
    const older = await createTestSchema()
    try {
      await query(older.url, `DELETE FROM "${older.schema}".applied_migration WHERE name LIKE '0004%'`)
      expect(await now.onedyno(older.env, 'worker')).toMatchObject({ code: 78, stderr: expect.stringContaining('lacks 0004') })
    } finally {
      await older.drop()
    }
  })
})
