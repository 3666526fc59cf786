import type { State } from '../app/outcome.ts'
import type { GroupBackend } from '../app/results/stored-result.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/** Reads groups that were sent, and the states of their members. */
export const createGroups = (database: Database): Pick<GroupBackend, 'group' | 'states'> => ({
  async group(id) {
    const [row] = await database.query<{ members: string[] }>(sql('group-find'), [id])
    return row?.members
  },
  async states(ids) {
    return (await database.query<{ state: State }>(sql('result-states'), [ids])).map(({ state }) => state)
  },
})
