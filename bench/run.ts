/** `npm run bench`: the figures of the README and of bench/RESULTS.md, printed with their goals. Ratios within one run count; the machine is shared. */
import { drain } from './drain.ts'
import { drainAmqp, latencyAmqp } from './drain-amqp.ts'
import { dyno } from './dyno.ts'
import { latency } from './latency.ts'

const say = (what: string, figure: string, goal: string) =>
  process.stdout.write(`${what.padEnd(52)} ${figure.padStart(14)}   goal ${goal}\n`)
const ms = (value: number) => `${value.toFixed(value < 100 ? 2 : 0)} ms`
const mb = (value: number) => `${value.toFixed(0)} MB`

process.stdout.write(`onedyno bench, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}\n\n`)
const figures = await dyno()
say('start to the first 200 of the form, database there', ms(figures.firstPageMs), '500 ms')
say('start to the first result of a task', ms(figures.firstResultMs), '800 ms')
say('stop, idle', ms(figures.stopMs), '500 ms')
say('whole dyno, PSS, idle', mb(figures.idlePssMb), '110 MB')
for (const { command, pssMb } of figures.processes) process.stdout.write(`    ${mb(pssMb).padStart(8)}  ${command}\n`)
say('whole dyno, PSS, after 5,000 tasks', mb(figures.busyPssMb), '130 MB')
const { p50Ms, p99Ms, enqueueP50Ms } = await latency()
say('delay() returns, p50', ms(enqueueP50Ms), '-')
say('delay() → result, p50', ms(p50Ms), '2.50 ms')
say('delay() → result, p99', ms(p99Ms), '6 ms')
const { tasksPerSecond, floorPerSecond, enqueuedPerSecond } = await drain()
say('enqueue, 100 calls in flight', `${enqueuedPerSecond.toFixed(0)}/s`, '10,000/s')
say('drain of 20,000 echo tasks, results stored', `${tasksPerSecond.toFixed(0)}/s`, '35,000/s')
say('  the same run, raw DELETE of 500 at a time, no results', `${floorPerSecond.toFixed(0)}/s`, '(floor)')

const amqpLatency = await latencyAmqp()
say('RabbitMQ: delay() → result, p50', ms(amqpLatency.p50Ms), '2.50 ms')
say('RabbitMQ: delay() → result, p99', ms(amqpLatency.p99Ms), '6 ms')
const amqp = await drainAmqp()
const share = `${((amqp.tasksPerSecond / amqp.floorPerSecond) * 100).toFixed(0)} % of it`
say('RabbitMQ: enqueue with confirms, 100 calls in flight', `${amqp.enqueuedPerSecond.toFixed(0)}/s`, '-')
say('RabbitMQ: drain of 20,000 echo tasks, results stored', `${amqp.tasksPerSecond.toFixed(0)}/s`, '60 % of the floor')
say('  the same run, raw amqplib consume and ack', `${amqp.floorPerSecond.toFixed(0)}/s`, `(floor; ${share})`)
