import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * Two modes of BullMQ: results kept in Redis (the default), and results removed at once, which is faster but leaves no result to
 * read.
 */
export const BULLMQ_MODES = [
  { concurrency: 10, keep: true },
  { concurrency: 50, keep: true },
  { concurrency: 200, keep: true },
  { concurrency: 50, keep: false },
  { concurrency: 200, keep: false },
] as const
export type BullmqMode = (typeof BULLMQ_MODES)[number]

const PROGRAM = `
import { Queue, Worker } from 'bullmq'
const [url, concurrency, keep, tasks] = process.argv.slice(1)
const { hostname: host, port } = new URL(url)
const connection = { host, port: Number(port), maxRetriesPerRequest: null }
const queue = new Queue('bench', { connection })
const opts = keep === 'true' ? {} : { removeOnComplete: true }
for (let from = 0; from < Number(tasks); from += 500)
  await queue.addBulk(Array.from({ length: 500 }, (_, at) => ({ name: 'echo', data: [from + at], opts })))
let done = 0
let beganAt
const run = async (job) => {
  beganAt ??= performance.now()
  return job.data[0]
}
const worker = new Worker('bench', run, { connection, concurrency: Number(concurrency) })
await new Promise((resolve) => worker.on('completed', () => { if (++done === Number(tasks)) resolve() }))
console.log((Number(tasks) / (performance.now() - beganAt)) * 1000)
await queue.obliterate({ force: true })
await worker.close()
await queue.close()
`

/**
 * Jobs per second from the start of the first job to the end of the last job. `folder`: the folder in which `npm install bullmq
 * ioredis` was run.
 * @throws Error if the queue was not drained in time
 */
export async function drainBullmq(
  folder: string,
  url: string,
  tasks: number,
  { concurrency, keep }: BullmqMode,
): Promise<number> {
  const args = ['--input-type=module', '-e', PROGRAM, url, String(concurrency), String(keep), String(tasks)]
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (data: Buffer) => {
    text += data.toString()
  })
  const [code] = await once(child, 'close')
  if (code !== 0 || !(Number(text) > 0))
    throw new Error(`BullMQ in ${folder} ended with ${code} (since version 6 it wants \`npm install bullmq ioredis\`)`)
  return Number(text)
}
