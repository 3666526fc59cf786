import { chain, createApp } from 'onedyno'

export const app = createApp()

/** A source that does not answer at first, as sources do: tried again by itself, after a random pause that may double each time. */
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

/** One after the other, each given the result of the one before it: a step that takes something else does not compile. */
export const report = (city: string) => chain(read.s(city), average.s(), write.s(city))

/** What is scheduled: it sends the chain, whose steps are its children on the page of the run. */
export const daily = app.task('reports.daily', async (city: string) => (await report(city).delay()).id, {
  description: 'Writes the report of a city.',
  args: [{ type: 'string', title: 'city', minLength: 1 }],
  example: ['Oslo'],
})
