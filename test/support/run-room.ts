import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/**
 * `npm run test:room -- ROOM [ARGUMENT OF VITEST …]` runs the unit tests of one room. A room is a folder of test/src; `supervisor` has
 * its tests in test/supervisor; `base` is the files directly in test/src.
 */
const root = join(import.meta.dirname, '../..')
const entries = readdirSync(join(root, 'test/src'), { withFileTypes: true })

const rooms = new Map<string, string[]>()
for (const entry of entries) {
  if (entry.isDirectory()) rooms.set(entry.name, [`test/src/${entry.name}/`])
  else if (entry.name.endsWith('.test.ts')) rooms.set('base', [...(rooms.get('base') ?? []), `test/src/${entry.name}`])
}
rooms.set('supervisor', ['test/supervisor/'])

const [room = '', ...more] = process.argv.slice(2)
const paths = rooms.get(room)
if (paths === undefined) {
  process.stderr.write(
    `unknown room: '${room}'\nhint: npm run test:room -- ROOM; rooms: ${[...rooms.keys()].sort().join(', ')}\n`,
  )
  process.exitCode = 64
} else {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const { status } = spawnSync(process.execPath, [vitest, 'run', '--project', 'unit', ...paths, ...more], {
    cwd: root,
    stdio: 'inherit',
  })
  process.exitCode = status ?? 1
}
