import type { FastifyInstance } from 'fastify'
import { failureOf } from '../failure.ts'
import { readFormFields } from '../form-fields.ts'
import { FIELDS, problemOf, readSubmission } from '../submission.ts'
import { submit } from '../submit.ts'
import { exampleOf, type TaskFormView, taskFormPage } from '../views/task-form.ts'
import { sendPage, type WebContext } from '../web-context.ts'

/** Registers `GET /`, which shows the form, and `POST /`, which runs the task at once or stores its schedule. */
export function registerHome(server: FastifyInstance, web: WebContext): void {
  const { app, config } = web
  const pageOf = (view: Pick<TaskFormView, 'values' | 'problems' | 'failure'>) =>
    taskFormPage({ ...view, tasks: app.tasks, timezone: config.beatTimezone })

  server.get('/', (request, reply) => {
    const { task, args, schedule } = request.query as Record<string, unknown>
    const chosen = app.tasks.get(String(task)) ?? app.tasks.values().next().value
    const values = {
      task: chosen?.name ?? '',
      args: typeof args === 'string' ? args : exampleOf(chosen),
      schedule: typeof schedule === 'string' ? schedule : '',
    }
    return sendPage(web, request, reply, pageOf({ values, problems: [] }))
  })

  server.post('/', async (request, reply) => {
    if (!(request.body instanceof URLSearchParams)) return reply.code(415).send()
    const values = readFormFields(request.body, FIELDS)
    const { submission, problems } = readSubmission(values, { app, timezone: config.beatTimezone, now: web.now() })
    if (submission === undefined) return sendPage(web, request, reply.code(422), pageOf({ values, problems }))
    try {
      const { path, kind } = await submit(submission, web)
      return reply.redirect(kind === 'schedule' ? `${path}?new` : path, 303)
    } catch (error) {
      const problem = problemOf(error)
      if (problem !== undefined) return sendPage(web, request, reply.code(422), pageOf({ values, problems: [problem] }))
      const failure = failureOf(error, request.id)
      if (failure.status !== 503) throw error
      web.log.warn({ err: error, request: request.id }, 'form not submitted because a server is unavailable, answered 503')
      return sendPage(web, request, reply.code(503), pageOf({ values, problems: [], failure }))
    }
  })
}
