import type { FastifyInstance } from 'fastify'
import { describeSchedule } from '../../schedule/describe.ts'
import { nextTicks } from '../../schedule/schedule.ts'
import { checkSubmission, type Problem, problemOf } from '../submission.ts'
import { submit } from '../submit.ts'
import type { WebContext } from '../web-context.ts'

/**
 * Handles `POST /api/tasks` with `{ "task": …, "args": […], "schedule": "…" }`. Answers 202 with id and URL of the run, 201 with
 * id and URL of the schedule, or 422 with a list of problems by field.
 */
export function registerTasksApi(server: FastifyInstance, web: WebContext): void {
  const { app, config } = web
  server.post('/api/tasks', async (request, reply) => {
    const json = reply.type('application/json; charset=utf-8')
    const { body } = request
    if (typeof body !== 'object' || body === null || Array.isArray(body) || body instanceof URLSearchParams) {
      return json
        .code(400)
        .send(
          JSON.stringify({ error: { code: 'USAGE', message: 'Send a JSON object: {"task": "tasks.echo", "args": ["hi"]}.' } }),
        )
    }
    const { task = '', args = [], schedule = '' } = body as Record<string, unknown>
    const types = typeProblems({ task, args, schedule })
    const context = { app, timezone: config.beatTimezone, now: web.now() }
    const { submission, problems } =
      types.length > 0
        ? { submission: undefined, problems: types }
        : checkSubmission({ task: task as string, args: args as unknown[], schedule: schedule as string }, context)
    if (submission === undefined) return json.code(422).send(JSON.stringify({ error: errorOf(problems) }))
    try {
      const { id, path, kind } = await submit(submission, web)
      reply.header('location', path)
      if (kind === 'run' || submission.schedule === undefined) return json.code(202).send(JSON.stringify({ id, url: path }))
      const answer = {
        id,
        url: path,
        schedule: describeSchedule(submission.schedule),
        next_runs: nextTicks(submission.schedule, context.now, 3),
      }
      return json.code(201).send(JSON.stringify(answer))
    } catch (error) {
      const problem = problemOf(error)
      if (problem === undefined) throw error
      return json.code(422).send(JSON.stringify({ error: errorOf([problem]) }))
    }
  })
}

function typeProblems({ task, args, schedule }: Record<'task' | 'args' | 'schedule', unknown>): Problem[] {
  const refuse = (field: 'task' | 'args' | 'schedule', message: string): Problem => ({
    field,
    code: 'USAGE',
    message,
    suggestions: [],
  })
  return [
    ...(typeof task === 'string' ? [] : [refuse('task', 'task is not a text.')]),
    ...(Array.isArray(args) ? [] : [refuse('args', 'args is not an array.')]),
    ...(typeof schedule === 'string' ? [] : [refuse('schedule', 'schedule is not a text.')]),
  ]
}

function errorOf(problems: readonly Problem[]) {
  const { code, message } = problems[0]!
  return { code, message, problems: problems.map((one) => ({ ...one, suggestions: one.suggestions.map(({ text }) => text) })) }
}
