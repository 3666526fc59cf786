/** Stores a schedule as the form does: `node schedule.ts "1 minutes"`. Default: every morning at seven. */
const [schedule = '0 7 * * *'] = process.argv.slice(2)
const { PORT = '5000' } = process.env

const answer = await fetch(`http://localhost:${PORT}/api/tasks`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ task: 'reports.daily', args: ['Oslo'], schedule }),
})
console.log(answer.status, await answer.json())
