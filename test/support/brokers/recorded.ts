import type { State } from '../../../src/app/outcome.ts'
import type { Database } from '../../../src/database/database.ts'

/** Reads the stored outcomes and the dead letters for a contract suite. */
export const recordedIn = (database: Database) => ({
  async recorded(): Promise<Map<string, State>> {
    const rows = await database.query<{ id: string; state: State }>({
      name: 'recorded',
      text: 'SELECT id, state FROM {schema}.task_result',
    })
    return new Map(rows.map(({ id, state }) => [id, state]))
  },
  async deadLetters(): Promise<number> {
    return (await database.query({ name: 'letters', text: 'SELECT FROM {schema}.dead_letter' })).length
  },
})
