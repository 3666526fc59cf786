/**
 * `node bench/logmux.ts [SCENARIO…]`: measures how a Procfile supervisor multiplexes the lines of its children. Runs onedyno and
 * each peer on the PATH in one run. Needs a C compiler, because the generator and the checker (logmux/*.c) must be faster than
 * the supervisor. Run `npm run build` first: unbuilt sources would add the time of type stripping.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const root = join(import.meta.dirname, '..')
const tools = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'logmux-'))
const gen = join(tools, 'gen')
const check = join(tools, 'check')

interface Scenario {
  readonly processes: string[]
  readonly env?: Record<string, string>
  /** What happens to the run after the generators have started. */
  readonly act?: 'kill child' | 'term' | 'block'
}

const million = Number(process.env.LINES ?? 1_000_000)
const three = (rest: string) => ['a', 'b', 'c'].map((name) => `${name}: ${gen} ${name} ${rest}`)
const SCENARIOS: Record<string, Scenario> = {
  fast3: { processes: three(`fast ${million} 100`), env: { GEN_COUNT: '3' } },
  perline3: { processes: three(`fast ${million / 5} 100 1`), env: { GEN_COUNT: '3' } },
  blocked: { processes: three(`fast ${million} 100`), env: { GEN_COUNT: '3' }, act: 'block' },
  tick: { processes: [`a: ${gen} a tick 10000 1000 100`], env: { GEN_LINGER_MS: '300' } },
  tickload: {
    processes: [`a: ${gen} a tick 10000 1000 100`, ...['b', 'c'].map((name) => `${name}: ${gen} ${name} rate 100000 10000 100`)],
    env: { GEN_COUNT: '3', GEN_LINGER_MS: '300' },
  },
  exit1: { processes: [`a: ${gen} a fast 200000 100`] },
  killchild: { processes: three('until 1000000000 100'), act: 'kill child' },
  term: { processes: three('until 1000000000 100'), act: 'term' },
}

const onPath = (name: string) => (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)))
const SUPERVISORS: Record<string, (procfile: string) => string[]> = {
  onedyno: (procfile) => [process.execPath, join(root, 'dist/src/main.js'), 'start', '-f', procfile],
  ...(onPath('foreman') && { foreman: (procfile) => ['foreman', 'start', '-f', procfile] }),
  ...(onPath('honcho') && { honcho: (procfile) => ['honcho', 'start', '-f', procfile] }),
  ...(onPath('hivemind') && { hivemind: (procfile) => ['hivemind', procfile] }),
  ...(onPath('overmind') && { overmind: (procfile) => ['overmind', 'start', '-f', procfile] }),
}

/** Counters of a generator in shared memory; see gen.c. */
interface Generator {
  readonly lines: number
  readonly cpuSeconds: number
  readonly pid: number
}

interface Checked {
  readonly damaged: number
  readonly seconds: number
  readonly gens: Record<string, { lines: number; missing: number; order: number }>
  readonly latency_us?: { p50: number; p99: number; max: number }
}

export interface LogmuxResult {
  readonly code: number | null
  readonly linesPerSecond: number
  /** CPU time of the supervisor and its helpers, without the generators. */
  readonly cpuSecondsPerMillion: number
  readonly peakRssMb: number
  /** Lines that a child wrote and that did not arrive. */
  readonly lost: number
  /** Lines that were torn or joined with another line. */
  readonly damaged: number
  readonly reordered: number
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  /** Time from the signal to the end of the supervisor. */
  readonly stopMs: number | undefined
}

export async function logmux(supervisor: string, scenario: string): Promise<LogmuxResult> {
  const { processes, env = {}, act } = SCENARIOS[scenario]!
  const folder = join(tools, `${supervisor}-${scenario}`)
  mkdirSync(join(folder, 'gen'), { recursive: true })
  writeFileSync(join(folder, 'Procfile'), `${processes.join('\n')}\n`)
  // Uses a pipeline of the shell, because Node's own pipes are sockets. `time` of bash counts the whole process tree.
  const script = `{ TIMEFORMAT='%U %S'; time "$@" 2> errors; echo $? > code; } 2> times | ${check} -l > report`
  const child = spawn('bash', ['-c', script, 'logmux', ...SUPERVISORS[supervisor]!(join(folder, 'Procfile'))], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, LANG: 'C.UTF-8', GEN_DIR: join(folder, 'gen'), ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  let peakKb = 0
  const sampler = setInterval(() => {
    peakKb = Math.max(peakKb, residentKb(child.pid!))
  }, 20)
  const actedAtMs = act === undefined ? undefined : await strike(act, child.pid!, join(folder, 'gen'), processes.length)
  await ended
  const stopMs = actedAtMs === undefined || act === 'block' ? undefined : performance.now() - actedAtMs
  clearInterval(sampler)
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const figures = summarise(JSON.parse(read('report')) as Checked, readGenerators(join(folder, 'gen')), read('times'))
  return { code: Number(read('code')), stopMs, peakRssMb: peakKb / 1024, ...figures }
}

function summarise(result: Checked, gens: Record<string, Generator>, times: string) {
  const arrived = Object.values(result.gens).reduce((sum, each) => sum + each.lines, 0)
  const written = Object.values(gens).reduce((sum, each) => sum + each.lines, 0)
  const [user = 0, system = 0] = times.trim().split('\n').at(-1)!.split(' ').map(Number)
  const own = user + system - Object.values(gens).reduce((sum, each) => sum + each.cpuSeconds, 0)
  return {
    linesPerSecond: arrived / result.seconds,
    cpuSecondsPerMillion: (own / arrived) * 1e6,
    lost: written - arrived,
    damaged: result.damaged,
    reordered: Object.values(result.gens).reduce((sum, each) => sum + each.order, 0),
    p50Ms: result.latency_us && result.latency_us.p50 / 1000,
    p99Ms: result.latency_us && result.latency_us.p99 / 1000,
  }
}

function readGenerators(folder: string): Record<string, Generator> {
  return Object.fromEntries(
    readdirSync(folder).map((file) => {
      const bytes = readFileSync(join(folder, file))
      const number = (i: number) => Number(bytes.readBigInt64LE(i * 8))
      return [file.replace('.stat', ''), { lines: number(0), cpuSeconds: number(1) / 1e6, pid: number(3) }]
    }),
  )
}

async function strike(act: string, bash: number, folder: string, count: number): Promise<number> {
  while (readdirSync(folder).length < count) await delay(20)
  const below = descendants(bash)
  if (act === 'block') {
    const reader = below.find((pid) => nameOf(pid) === 'check')!
    await delay(100)
    process.kill(reader, 'SIGSTOP')
    await delay(Number(process.env.BLOCK_MS ?? 10_000))
    process.kill(reader, 'SIGCONT')
    return performance.now()
  }
  await delay(1_000)
  if (act === 'term') process.kill(below.find((pid) => !['bash', 'check'].includes(nameOf(pid)))!, 'SIGTERM')
  else process.kill(readGenerators(folder).a!.pid, 'SIGKILL')
  return performance.now()
}

const readProc = (path: string) => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

const childrenOf = (pid: number) => readProc(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number)

/** In start order. */
const descendants = (pid: number): number[] => childrenOf(pid).flatMap((each) => [each, ...descendants(each)])

const nameOf = (pid: number) => readProc(`/proc/${pid}/comm`).trim()

/** RSS of the supervisor and its helpers: the process tree without the shell, the generators and the checker. */
const residentKb = (pid: number) =>
  descendants(pid)
    .filter((each) => !['bash', 'check', 'gen'].includes(nameOf(each)))
    .reduce((sum, each) => sum + Number(/VmRSS:\s+(\d+)/.exec(readProc(`/proc/${each}/status`))?.[1] ?? 0), 0)

const switches = (pid: number) =>
  readdirSync(`/proc/${pid}/task`)
    .flatMap((thread) => [...readProc(`/proc/${pid}/task/${thread}/status`).matchAll(/ctxt_switches:\s+(\d+)/g)])
    .reduce((sum, [, count]) => sum + Number(count), 0)

/** Runs three idle children for 10 s. Measures how often the supervisor wakes up and how much memory it uses. */
async function idle(supervisor: string): Promise<string> {
  const folder = mkdtempSync(join(tools, 'idle-'))
  writeFileSync(join(folder, 'Procfile'), ['web', 'worker', 'beat'].map((name) => `${name}: sleep 3600\n`).join(''))
  const [file, ...args] = SUPERVISORS[supervisor]!(join(folder, 'Procfile'))
  const child = spawn(file!, args, { cwd: folder, stdio: 'ignore' })
  await delay(3_000)
  const own = [child.pid!, ...descendants(child.pid!)].filter((pid) => nameOf(pid) !== 'sleep')
  const before = own.reduce((sum, pid) => sum + switches(pid), 0)
  await delay(10_000)
  const wakes = own.reduce((sum, pid) => sum + switches(pid), 0) - before
  const memory = (what: string) =>
    own.reduce(
      (sum, pid) => sum + Number(new RegExp(`^${what}:\\s+(\\d+)`, 'm').exec(readProc(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0),
      0,
    ) / 1024
  const figures = [memory('Rss').toFixed(1), memory('Pss').toFixed(1)]
  const ended = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGTERM')
  await ended
  return `  ${supervisor.padEnd(9)}  ${wakes} context switches in 10 s  RSS ${figures[0]} MB  PSS ${figures[1]} MB  in ${own.length} processes\n`
}

function show(supervisor: string, result: LogmuxResult): string {
  const cells = [
    supervisor.padEnd(9),
    `${Math.round(result.linesPerSecond).toLocaleString('en')} lines/s`.padStart(20),
    `${result.cpuSecondsPerMillion.toFixed(2)} CPU s/M`.padStart(14),
    `${result.peakRssMb.toFixed(0)} MB`.padStart(8),
    `lost ${result.lost}`.padStart(9),
    `damaged ${result.damaged}`,
    `reordered ${result.reordered}`,
    result.p50Ms === undefined ? '' : `p50 ${result.p50Ms.toFixed(3)} ms p99 ${result.p99Ms!.toFixed(3)} ms`,
    result.stopMs === undefined ? '' : `ended after ${result.stopMs.toFixed(0)} ms`,
    `exit ${result.code}`,
  ]
  return `  ${cells.filter((cell) => cell !== '').join('  ')}\n`
}

/** Runs all scenarios with all supervisors and prints each result at once. */
export async function benchLogmux(names: readonly string[] = [...Object.keys(SCENARIOS), 'idle']): Promise<void> {
  for (const name of ['gen', 'check'])
    execFileSync('cc', ['-O2', '-w', '-o', join(tools, name), join(import.meta.dirname, `logmux/${name}.c`)])
  try {
    for (const scenario of names) {
      process.stdout.write(`${scenario}\n`)
      if (scenario === 'idle') {
        for (const supervisor of Object.keys(SUPERVISORS)) process.stdout.write(await idle(supervisor))
        continue
      }
      const peers = scenario === 'blocked' ? ['onedyno'] : Object.keys(SUPERVISORS)
      for (const supervisor of peers) process.stdout.write(show(supervisor, await logmux(supervisor, scenario)))
    }
  } finally {
    rmSync(tools, { recursive: true, force: true })
  }
}

if (import.meta.main) await benchLogmux(process.argv.length > 2 ? process.argv.slice(2) : undefined)
