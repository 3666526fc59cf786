import { expect } from 'vitest'
import { seedsOf } from '../../src/beat/seeds.ts'
import { parseConfig } from '../../src/config.ts'
import { type BeatBench, benchTest } from '../support/beats.ts'

const HEROKU = { DYNO: 'web.1', HEROKU_APP_DEFAULT_DOMAIN_NAME: 'shop-1a2b.herokuapp.com' }

/** Seeds the table as a beat with this environment does at start. */
const seed = (bench: BeatBench, env: Record<string, string>) => bench.table().seed(seedsOf(parseConfig(env)).seeds)

const names = async ({ sql }: BeatBench) => (await sql('SELECT name FROM schedule ORDER BY name')).map(({ name }) => name)

benchTest('beat creates the seeds at its first start by the time of the database, and changes nothing later', async (bench) => {
  await seed(bench, HEROKU)
  expect(await names(bench)).toEqual(['onedyno.clean_up', 'onedyno.keep_awake'])
  expect(await bench.row('onedyno.keep_awake')).toMatchObject({ every: 25, period: 'minutes', catchup: 'skip', origin: 'code' })
  const before = await bench.sql('SELECT * FROM schedule ORDER BY name')
  expect(await bench.sql("SELECT FROM schedule WHERE anchor > now() OR anchor < now() - interval '1 minute'")).toEqual([])
  await seed(bench, HEROKU)
  expect(await bench.sql('SELECT * FROM schedule ORDER BY name')).toEqual(before)
})

benchTest('beat does not enable a seeded schedule that was disabled', async (bench) => {
  await seed(bench, HEROKU)
  await bench.sql("UPDATE schedule SET enabled = false WHERE name = 'onedyno.keep_awake'")
  await seed(bench, HEROKU)
  await seed(bench, { ...HEROKU, KEEP_AWAKE: '7' })
  expect(await bench.row('onedyno.keep_awake')).toMatchObject({ enabled: false, every: 7 })
})

benchTest('beat plans only the seeded schedule whose interval changed in the configuration', async (bench) => {
  await seed(bench, HEROKU)
  await bench.sql("UPDATE schedule SET next_run_at = now() + interval '1 hour'")
  await seed(bench, { ...HEROKU, KEEP_AWAKE: '7' })
  expect(await bench.row('onedyno.keep_awake')).toMatchObject({ every: 7, next_run_at: null, version: '2' })
  expect(await bench.row('onedyno.clean_up')).toMatchObject({ version: '1' })
  expect((await bench.row('onedyno.clean_up'))?.next_run_at).not.toBeNull()
})

benchTest('beat deletes a seeded schedule that the code no longer has, and keeps its history', async (bench) => {
  await seed(bench, HEROKU)
  await bench.sql(
    `INSERT INTO schedule_run (schedule_id, tick, reason, outcome, schedule_name, task, host)
     SELECT id, now(), 'tick', 'skipped_catchup', name, task, 'h' FROM schedule`,
  )
  await bench.addInterval('mine', 60)
  await seed(bench, { ...HEROKU, KEEP_AWAKE: 'off' })
  expect(await names(bench)).toEqual(['mine', 'onedyno.clean_up'])
  expect(await bench.runs('onedyno.keep_awake')).toHaveLength(1)
})

benchTest('beat does not change a user’s schedule with the name of a seed', async (bench) => {
  await bench.addInterval('onedyno.clean_up', 12, { task: 'mine' })
  await seed(bench, {})
  expect(await bench.row('onedyno.clean_up')).toMatchObject({ task: 'mine', every: 12, origin: 'db', version: '1' })
})

benchTest('beat restores a seeded schedule that was changed to a crontab', async (bench) => {
  await seed(bench, {})
  await bench.sql(
    `UPDATE schedule SET kind = 'crontab', minute = '0', hour = '*', day_of_week = '*', day_of_month = '*', month_of_year = '*',
       day_rule = 'and', timezone = 'UTC', every = NULL, period = NULL, anchor = NULL`,
  )
  await seed(bench, {})
  expect(await bench.row('onedyno.clean_up')).toMatchObject({ kind: 'interval', every: 1, period: 'hours' })
})

benchTest('beat creates each seed once when several beats start at the same time', async (bench) => {
  await Promise.all(Array.from({ length: 5 }, () => seed(bench, HEROKU)))
  expect(await names(bench)).toEqual(['onedyno.clean_up', 'onedyno.keep_awake'])
})

benchTest('beat does not wait at start for a row that an open transaction has locked', async (bench) => {
  await seed(bench, HEROKU)
  const other = await bench.begin()
  await other.sql("UPDATE schedule SET enabled = false WHERE name = 'onedyno.keep_awake'")
  await seed(bench, HEROKU)
  await seed(bench, { ...HEROKU, KEEP_AWAKE: '7' })
  await seed(bench, { ...HEROKU, KEEP_AWAKE: 'off' })
  await other.end('COMMIT')
  expect(await bench.row('onedyno.keep_awake')).toMatchObject({ enabled: false, every: 25 })
})
