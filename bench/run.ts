/**
 * `npm run bench` prints the figures of the README and of bench/RESULTS.md with their goals; `npm run bench -- rabbitmq redis`
 * prints some of them. Compare only figures of one run, because the machine is shared. Peers are measured if they are installed:
 * Celery in the system's Python (with results: python3-sqlalchemy and python3-psycopg2), and BullMQ in the folder that BULLMQ
 * names.
 */
import { drain } from './drain.ts'
import { drainAmqp, latencyAmqp, peersOfAmqp } from './drain-amqp.ts'
import { drainRedis, latencyRedis } from './drain-redis.ts'
import { dyno } from './dyno.ts'
import { latency } from './latency.ts'

const say = (what: string, figure: string, goal: string) =>
  process.stdout.write(`${what.padEnd(62)} ${figure.padStart(14)}   goal ${goal}\n`)
const ms = (value: number) => `${value.toFixed(value < 100 ? 2 : 0)} ms`
const mb = (value: number) => `${value.toFixed(0)} MB`
const rate = (value: number) => `${value.toFixed(0)}/s`
const times = (ours: number, theirs: number) => `${(ours / theirs).toFixed(2)} ×`

function sayLatency(name: string, { p50Ms, p99Ms, enqueueP50Ms }: Awaited<ReturnType<typeof latency>>): void {
  say(`${name}: delay() returns, p50`, ms(enqueueP50Ms), '-')
  say(`${name}: delay() → result, p50`, ms(p50Ms), '2.50 ms')
  say(`${name}: delay() → result, p99`, ms(p99Ms), '6 ms')
}

const DRAIN = 'drain of 20,000 echo tasks, results stored'

const sections = {
  async dyno() {
    const figures = await dyno()
    say('start to the first 200 of the form, database there', ms(figures.firstPageMs), '500 ms')
    say('start to the first result of a task', ms(figures.firstResultMs), '800 ms')
    say('stop, idle', ms(figures.stopMs), '500 ms')
    say('whole dyno, PSS, idle', mb(figures.idlePssMb), '110 MB')
    for (const { command, pssMb } of figures.processes) process.stdout.write(`    ${mb(pssMb).padStart(8)}  ${command}\n`)
    say('whole dyno, PSS, after 5,000 tasks', mb(figures.busyPssMb), '130 MB')
  },
  async postgres() {
    sayLatency('PostgreSQL', await latency())
    const { tasksPerSecond, floorPerSecond, enqueuedPerSecond } = await drain()
    say('PostgreSQL: enqueue, 100 calls in flight', rate(enqueuedPerSecond), '10,000/s')
    say(`PostgreSQL: ${DRAIN}`, rate(tasksPerSecond), '35,000/s')
    say('  the same run, raw DELETE of 500 at a time, no results', rate(floorPerSecond), '(floor)')
  },
  async rabbitmq() {
    sayLatency('RabbitMQ', await latencyAmqp())
    const { tasksPerSecond, floorPerSecond, enqueuedPerSecond } = await drainAmqp()
    say('RabbitMQ: enqueue with confirms, 100 calls in flight', rate(enqueuedPerSecond), '-')
    say(`RabbitMQ: ${DRAIN}`, rate(tasksPerSecond), '60 % of the floor, 8 × Celery')
    const share = `${((tasksPerSecond / floorPerSecond) * 100).toFixed(0)} % of it`
    say('  the same run, raw amqplib consume and ack', rate(floorPerSecond), `(floor; ${share})`)
    const celery = await peersOfAmqp()
    if (celery === undefined) return skipped('Celery', 'apt-get install celery')
    for (const mode of ['stored', 'ignored'] as const) {
      const { pool, tasksPerSecond: theirs } = celery[mode] ?? {}
      if (theirs === undefined)
        skipped('Celery with results in PostgreSQL', 'apt-get install python3-sqlalchemy python3-psycopg2')
      else
        say(
          `  the same run, Celery ${celery.version}, ${pool}, results ${mode}`,
          rate(theirs),
          `(peer; ${times(tasksPerSecond, theirs)})`,
        )
    }
  },
  async redis() {
    sayLatency('Redis', await latencyRedis())
    const { tasksPerSecond, ignoredPerSecond, floorPerSecond, enqueuedPerSecond, bullmq } = await drainRedis(process.env.BULLMQ)
    say('Redis: enqueue, 100 calls in flight', rate(enqueuedPerSecond), '-')
    say(`Redis: ${DRAIN} in PostgreSQL`, rate(tasksPerSecond), "2 × BullMQ's best")
    say('  the same run, results ignored, nothing stored', rate(ignoredPerSecond), '-')
    say('  the same run, raw LMOVE and LREM by 500, nothing stored', rate(floorPerSecond), '(floor)')
    if (bullmq.length === 0) return skipped('BullMQ', '`npm install bullmq ioredis` in some folder, and BULLMQ=that folder')
    for (const { concurrency, keep, tasksPerSecond: theirs } of bullmq) {
      const what = `concurrency ${concurrency}, ${keep ? 'results in Redis' : 'results removed at once'}`
      const alike = keep ? '' : `, ${times(ignoredPerSecond, theirs)} where ours are ignored`
      say(`  the same run, BullMQ, ${what}`, rate(theirs), `(peer; ${times(tasksPerSecond, theirs)}${alike})`)
    }
  },
}

function skipped(peer: string, how: string): void {
  process.stdout.write(`!! NOT MEASURED: ${peer} is not installed here, so the ratio is missing (${how})\n`)
}

process.stdout.write(`onedyno bench, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}\n\n`)
const wanted = process.argv.slice(2)
for (const [name, measure] of Object.entries(sections)) if (wanted.length === 0 || wanted.includes(name)) await measure()
