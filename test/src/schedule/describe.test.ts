import { expect, test } from 'vitest'
import { describeSchedule } from '../../../src/schedule/describe.ts'
import { parseSchedule } from '../../../src/schedule/parse.ts'
import { createClocked } from '../../../src/schedule/schedule.ts'

const NOW = new Date('2026-11-22T18:00:00Z')

const WORDS: [text: string, words: string][] = [
  ['* *', 'every minute (UTC)'],
  ['*/15 *', 'every 15 minutes (UTC)'],
  ['*/15 * Asia/Kolkata', 'every 15 minutes (Asia/Kolkata)'],
  ['*/7 *', 'every 7 minutes from minute 0 to 56 of every hour (UTC)'],
  ['0 *', 'every hour, on the hour (UTC)'],
  ['1 *', 'every hour, 1 minute past (UTC)'],
  ['20 *', 'every hour, 20 minutes past (UTC)'],
  ['5,35 *', 'at minutes 5 and 35 of every hour (UTC)'],
  ['10-20 *', 'at minutes 10 to 20 of every hour (UTC)'],
  ['0 9 * * 1-5 Europe/Berlin', 'at 09:00 on Monday to Friday (Europe/Berlin)'],
  ['0 9', 'at 09:00 every day (UTC)'],
  ['0,30 9,17', 'at 09:00, 09:30, 17:00 and 17:30 every day (UTC)'],
  ['0-30,15 3', 'every minute from 03:00 to 03:30 every day (UTC)'],
  ['*/5 3', 'every 5 minutes from 03:00 to 03:55 every day (UTC)'],
  ['1,2,3,5,8,13,21 3', 'at 03:01, 03:02, 03:03, 03:05, 03:08, 03:13 and 03:21 every day (UTC)'],
  ['*/10 8-17 * * 1-5', 'every 10 minutes from 08:00 to 17:59 on Monday to Friday (UTC)'],
  ['5,35 8-17', 'at minutes 5 and 35 of each hour from 08:00 to 17:59 every day (UTC)'],
  ['* 9,13', 'every minute in the hours 09 and 13 every day (UTC)'],
  ['0 9-17', 'every hour from 09:00 to 17:00 every day (UTC)'],
  ['15 20-3', 'every hour from 20:15 to 03:15 every day (UTC)'],
  ['*/20 22-2', 'every 20 minutes from 22:00 to 02:59 every day (UTC)'],
  ['30 */2', 'every 2 hours from 00:30 every day (UTC)'],
  ['0 12 * * sat-mon', 'at 12:00 on Saturday to Monday (UTC)'],
  ['0 12 * * fri-sun', 'at 12:00 on Friday to Sunday (UTC)'],
  ['0 12 * * sat,sun', 'at 12:00 on Saturday and Sunday (UTC)'],
  ['0 12 * * sun,mon,wed', 'at 12:00 on Monday, Wednesday and Sunday (UTC)'],
  ['0 0 1 * *', 'at 00:00 on the 1st of every month (UTC)'],
  ['0 0 2,3,11,12,13,21,22,23 * *', 'at 00:00 on the 2nd, the 3rd, the 11th to 13th and the 21st to 23rd of every month (UTC)'],
  ['0 0 L * *', 'at 00:00 on the last day of every month (UTC)'],
  ['0 0 15,L * *', 'at 00:00 on the 15th and the last day of every month (UTC)'],
  ['0 0 */2 * *', 'at 00:00 on every 2nd day from the 1st to the 31st of every month (UTC)'],
  ['0 0 1,15 jan,jul *', 'at 00:00 on the 1st and the 15th of January and July (UTC)'],
  ['0 9 * 11-2 *', 'at 09:00 every day in November to February (UTC)'],
  ['*/30 * * jun-aug mon', 'every 30 minutes on Monday in June to August (UTC)'],
  ['*/30 * * 6 *', 'every 30 minutes in June (UTC)'],
  ['0 0 13 * 5', 'at 00:00 on the 13th of every month, and also on every Friday (UTC)'],
  ['0 0 13 6 5', 'at 00:00 on the 13th of June, and also on every Friday in June (UTC)'],
  ['celery: 0 0 fri 13', 'at 00:00 on Friday, but only if it is also the 13th of every month (UTC)'],
  ['celery: 0 22 sat 1-7 mar', 'at 22:00 on Saturday, but only if it is also the 1st to 7th of March (UTC)'],
  ['0 0 1-31 * 1', 'at 00:00 on Monday (UTC)'],
  ['every 2 hours', 'every 2 hours, counted from 2026-11-22 18:00 UTC'],
  ['1 second', 'every second, counted from 2026-11-22 18:00 UTC'],
]

test.each(WORDS)('the schedule "%s" is described as "%s"', (text, words) => {
  expect(describeSchedule(parseSchedule(text, { timezone: 'UTC', now: NOW }))).toBe(words)
})

test.each([
  ['2026-11-22T18:00:00.000Z', 'once, at 2026-11-22 18:00 UTC'],
  ['2026-11-22T18:00:05.000Z', 'once, at 2026-11-22 18:00:05 UTC'],
  ['2026-11-22T18:00:00.250Z', 'once, at 2026-11-22 18:00:00.250 UTC'],
])('the clocked schedule of %s is described without zero seconds as "%s"', (iso, words) => {
  expect(describeSchedule(createClocked(new Date(iso)))).toBe(words)
})
