import { globSync } from 'node:fs'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sql } from '../../src/database/sql.ts'
import { createTestSchema, type TestSchema } from '../support/database.ts'
import { root } from '../support/import-graph.ts'

const names = globSync('sql/queries/*.sql', { cwd: root }).map((file) => file.slice('sql/queries/'.length, -'.sql'.length))

describe('every statement of sql/queries', () => {
  let schema: TestSchema
  beforeAll(async () => {
    schema = await createTestSchema()
  })
  afterAll(() => schema.drop())

  test('there are some', () => expect(names.length).toBeGreaterThan(25))

  test.each(names)('%s is one statement that fits the migrated schema', async (name) => {
    await prepare(schema, sql(name).text)
  })

  test('a statement that does not fit is refused', async () => {
    await expect(prepare(schema, 'SELECT nothing FROM message')).rejects.toMatchObject({ code: '42703' })
    await expect(prepare(schema, 'SELECT 1; SELECT 2')).rejects.toMatchObject({ code: '42601' })
  })
})

/** Parsed and planned as far as it can be without values, never run. With a name pg parses it as one statement, and refuses two. */
async function prepare({ url, schema }: TestSchema, text: string): Promise<void> {
  const client = new Client({ connectionString: url, options: `-c search_path=${schema}` })
  await client.connect()
  try {
    await client.query({ name: 'prepare', text: `PREPARE this_statement AS ${text}` })
  } finally {
    await client.end()
  }
}
