import { globSync } from 'node:fs'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createQualifier, type Statement, sql } from '../../src/database/sql.ts'
import { createTestSchema, type TestSchema } from '../support/database.ts'
import { root } from '../support/import-graph.ts'

const names = globSync('sql/queries/*.sql', { cwd: root }).map((file) => file.slice('sql/queries/'.length, -'.sql'.length))

describe('every statement of sql/queries', () => {
  let schema: TestSchema
  beforeAll(async () => {
    schema = await createTestSchema()
  })
  afterAll(() => schema.drop())

  test('is found, in more than 25 files', () => expect(names.length).toBeGreaterThan(25))

  test.each(names)('%s is one statement that fits the migrated schema and names the schema of its tables', async (name) => {
    await prepare(schema, sql(name))
  })

  test.each([
    ['names an unknown column', 'SELECT nothing FROM {schema}.message', '42703'],
    ['names a table without its schema', 'SELECT FROM message', '42P01'],
    ['is two statements', 'SELECT 1; SELECT 2', '42601'],
  ])('the check refuses a statement that %s', async (_what, text, code) => {
    await expect(prepare(schema, { name: 'faulty', text })).rejects.toMatchObject({ code })
  })
})

/**
 * Parses and plans the statement as far as that is possible without values, and never runs it. No schema is searched, so a table without
 * its schema is not found. Because the query has a name, pg sends it as one statement, and the server refuses two.
 */
async function prepare({ url, schema }: TestSchema, statement: Statement): Promise<void> {
  const { text } = createQualifier(schema)(statement)
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query("SET search_path TO ''")
    await client.query({ name: 'prepare', text: `PREPARE this_statement AS ${text}` })
  } finally {
    await client.end()
  }
}
