import { chain, createApp } from 'onedyno'

export const app = createApp()

/** Reads from a source that fails at first. The task is retried automatically, after a random delay whose limit doubles each time. */
export const read = app.task(
  'reports.read',
  ({ attempt, log }, city: string) => {
    log.info({ city, attempt }, 'reading')
    if (attempt === 1) throw new Error(`the station of ${city} does not answer`)
    return [...city].map((letter) => (letter.codePointAt(0) ?? 0) % 30)
  },
  { bind: true, autoretryFor: [Error], retryBackoff: 0.5, maxRetries: 5, timeLimit: 10 },
)

export const average = app.task('reports.average', (degrees: number[]) =>
  Math.round(degrees.reduce((sum, each) => sum + each, 0) / degrees.length),
)

export const write = app.task('reports.write', (degrees: number, city: string) => `${city}: ${degrees} °C`)

/** A chain: each step receives the result of the step before it. A step of another type does not compile. */
export const report = (city: string) => chain(read.s(city), average.s(), write.s(city))

/** The scheduled task. It sends the chain, whose steps are its children on the page of the run. */
export const daily = app.task('reports.daily', async (city: string) => (await report(city).delay()).id, {
  description: 'Writes the report of a city.',
  args: [{ type: 'string', title: 'city', minLength: 1 }],
  example: ['Oslo'],
})
