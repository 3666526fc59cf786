import type { Import } from './import-graph.ts'

/** The rooms by floor, lowest first. A room may import rooms of lower floors. */
const FLOORS: readonly (readonly string[])[] = [
  ['concurrency'],
  ['base'],
  ['message', 'schedule', 'embedded'],
  ['app'],
  ['database'],
  ['broker'],
  ['tasks'],
  ['worker', 'beat', 'web'],
  ['control', 'testing'],
  ['commands'],
  ['main', 'index'],
]
/** Pure rooms return the same result for the same arguments, so they may import only Node modules without I/O. */
const PURE = ['message', 'schedule', 'app']
const PURE_BUILTINS = ['node:async_hooks', 'node:module', 'node:os', 'node:zlib']

/** The files that may import each package. A new package needs a decision (docs/adr/0012-dependencies.md). */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  execa: /^supervisor\//,
  fastify: /^src\/web\//,
  ghtml: /^src\/web\/views\//,
  pg: /^src\/(database|embedded)\//,
  'node-pg-migrate': /^src\/database\/migrate\.ts$/,
  amqplib: /^src\/broker\/amqp\//,
  ioredis: /^src\/broker\/(redis|celery-results)\//,
  undici: /^src\/tasks\//,
  'cron-parser': /^src\/schedule\//,
  pino: /^src\/log\.ts$/,
  ajv: /^src\/app\/calls\/arguments\.ts$/,
  typebox: /^src\/app\//,
  uuid: /^src\//,
  '@opentelemetry/api': /^src\/app\/calls\/tracing\.ts$/,
  piscina: /^src\/worker\/threads\/pool\.ts$/,
}
/** Importing it takes 129 ms and 22 MB in each process (docs/adr/0008-typebox-and-ajv.md). */
const TYPES_ONLY = ['typebox']
/** Loaded only on use, because few processes use them. */
const LAZY_ONLY = ['ajv', 'node-pg-migrate', 'piscina']

/** The room of a source file; undefined for any other file. */
export function roomOf(path: string): string | undefined {
  const [top, room = '', inside] = path.split('/')
  if (top === 'supervisor') return 'supervisor'
  if (top !== 'src') return undefined
  if (inside !== undefined) return room
  return room === 'main.ts' || room === 'index.ts' ? room.slice(0, -3) : 'base'
}

/** The reason why an import is not allowed; undefined if it is allowed. */
export function refusalOf(found: Import): string | undefined {
  const from = roomOf(found.from)
  if (from === undefined) return `${found.from} is in no room`
  const to = roomOf(found.to)
  const reason = to === undefined ? refusalOfForeign(found, from) : refusalOfRoom(found, from, to)
  return reason === undefined ? undefined : `${found.from} imports ${found.to}: ${reason}`
}

function refusalOfRoom(found: Import, from: string, to: string): string | undefined {
  if (from === to) return undefined
  if (from === 'supervisor') return 'the supervisor never imports src'
  if (to === 'supervisor')
    return mayTouchSupervisor(found) ? undefined : 'only main.ts, and start.ts for types, touch the supervisor'
  const [lower, upper] = [floorOf(to), floorOf(from)]
  if (lower < 0 || upper < 0) return `${lower < 0 ? to : from} is a room without a floor`
  if (lower < upper) return undefined
  return lower === upper ? `${from} and ${to} never import each other` : `${to} is above ${from}`
}

const mayTouchSupervisor = ({ from, typeOnly }: Import) =>
  from === 'src/main.ts' || (from === 'src/commands/start.ts' && typeOnly)

const floorOf = (room: string) => FLOORS.findIndex((rooms) => rooms.includes(room))

function refusalOfForeign({ from: file, to, typeOnly, lazy }: Import, from: string): string | undefined {
  if (to.startsWith('node:')) {
    if (from === 'concurrency') return to === 'node:timers/promises' ? undefined : 'concurrency does no I/O'
    return PURE.includes(from) && !PURE_BUILTINS.includes(to) ? `${from} is pure` : undefined
  }
  const places = to.startsWith('@fastify/') ? PACKAGES.fastify : PACKAGES[to]
  if (places === undefined) return 'no rule says where this package belongs'
  if (!places.test(file)) return `this package belongs to ${places.source}`
  if (TYPES_ONLY.includes(to) && !typeOnly) return 'only its types'
  if (LAZY_ONLY.includes(to) && !typeOnly && !lazy) return 'only when it is needed'
  return undefined
}
