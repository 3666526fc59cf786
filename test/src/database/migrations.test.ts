import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { migrationNames } from '../../../src/database/migrate.ts'
import { root } from '../../support/import-graph.ts'

const names = migrationNames()
/** The last migration of the release that compares names and does not read compatible_migration. */
const LAST_COMPARED = '0003_tasks'

const compatibleSince = (name: string, text: string): string | undefined =>
  new RegExp(`INSERT INTO compatible_migration \\(name, since\\) VALUES \\('${name}', '([^']+)'\\);`).exec(text)?.[1]
const isRefusedByName = (name: string, text: string): boolean =>
  text.includes(`INSERT INTO migration (name, run_on) VALUES ('${name}', now());`)

test.each(names.filter((name) => name > LAST_COMPARED))('the migration %s says which releases can work with it', (name) => {
  const text = readFileSync(join(root, 'sql/migrations', `${name}.sql`), 'utf8')
  const since = compatibleSince(name, text)
  if (since !== undefined) expect(names.filter((each) => each < name)).toContain(since)
  const breaksTheFirstRelease = since === undefined || since > LAST_COMPARED
  expect(isRefusedByName(name, text)).toBe(breaksTheFirstRelease)
})
