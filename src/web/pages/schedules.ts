import type { FastifyInstance } from 'fastify'
import type { StoredSchedule } from '../../database/schedules.ts'
import { AppError } from '../../errors.ts'
import { nextTicks } from '../../schedule/schedule.ts'
import { schedulePath } from '../paths.ts'
import { schedulePage } from '../views/schedule-page.ts'
import { schedulesPage } from '../views/schedules-page.ts'
import { sendPage, type WebContext } from '../web-context.ts'

const SCHEDULES_A_PAGE = 100
const RUNS_A_PAGE = 50
const TICKS_SHOWN = 3

/**
 * Registers `/schedules`, which lists the schedules, and `/schedules/:id`, which shows one with its history and forms to change
 * it.
 */
export function registerSchedules(server: FastifyInstance, web: WebContext): void {
  const { schedules } = web

  server.get<{ Querystring: { after?: unknown } }>('/schedules', async (request, reply) => {
    const { after } = request.query
    const found = await schedules.list({
      ...(typeof after === 'string' && !after.includes('\0') && { after }),
      limit: SCHEDULES_A_PAGE + 1,
    })
    const shown = found.slice(0, SCHEDULES_A_PAGE)
    const next = found.length > SCHEDULES_A_PAGE ? shown.at(-1)?.name : undefined
    return sendPage(web, request, reply, schedulesPage({ schedules: shown, next, now: web.now() }))
  })

  server.get<{ Params: { id: string }; Querystring: { before?: unknown; new?: unknown } }>(
    '/schedules/:id',
    async (request, reply) => {
      const { id } = request.params
      const [schedule, runs] = await Promise.all([
        schedules.find(id),
        schedules.runs(id, { ...beforeOf(request.query.before), limit: RUNS_A_PAGE + 1 }),
      ])
      if (schedule === undefined) throw unknown(id)
      const now = web.now()
      const view = {
        schedule,
        runs: runs.slice(0, RUNS_A_PAGE),
        hasMore: runs.length > RUNS_A_PAGE,
        ticks: ticksOf(schedule, now),
        isNew: 'new' in request.query,
        now,
      }
      return sendPage(web, request, reply, schedulePage(view))
    },
  )

  for (const [action, enabled] of [
    ['enable', true],
    ['disable', false],
  ] as const) {
    server.post<{ Params: { id: string } }>(`/schedules/:id/${action}`, async (request, reply) => {
      const { id } = request.params
      if (!(await schedules.setEnabled(id, enabled))) throw unknown(id)
      web.log.info({ schedule: id }, `schedule ${action}d`)
      return reply.redirect(schedulePath(id), 303)
    })
  }

  server.post<{ Params: { id: string } }>('/schedules/:id/delete', async (request, reply) => {
    const { id } = request.params
    if (!(await schedules.remove(id))) throw unknown(id)
    web.log.info({ schedule: id }, 'schedule deleted')
    return reply.redirect('/schedules', 303)
  })
}

const unknown = (id: string) => new AppError('SCHEDULE_UNKNOWN', `there is no schedule ${id.slice(0, 100)}`)

/** Returns the next ticks. If beat has planned a tick, it is the first one: it may be slightly late, or catch up missed ticks. */
function ticksOf({ schedule, enabled, finished }: StoredSchedule, now: Date): Date[] {
  return schedule === undefined || !enabled || finished ? [] : nextTicks(schedule, now, TICKS_SHOWN)
}

function beforeOf(text: unknown): { before?: Date } {
  const before = typeof text === 'string' ? new Date(text) : undefined
  return before === undefined || Number.isNaN(before.getTime()) ? {} : { before }
}
