import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { supervisorCommand } from './project.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const [file, ...args] = supervisorCommand

test.each(['Procfile', 'Procfile.real'])('check accepts the %s of the example with gunicorn and Celery', (procfile) => {
  const example = join(root, 'examples/gunicorn-celery')
  const { status, stderr } = spawnSync(file!, [...args, 'check', '-d', example, '-f', procfile], { encoding: 'utf8' })
  expect(stderr).toContain('Valid procfile detected (web')
  expect(status).toBe(0)
})

// The example imports the package by its name, which needs dist/.
test.runIf(existsSync(join(root, 'dist/supervisor/supervise.js')))('the example of the library runs', () => {
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'examples/library/run.ts')], { encoding: 'utf8', cwd: root })
  expect(stdout).toMatch(/clock\.1 {3}\| tick 3 on 8000/)
  expect(stdout).toMatch(/greeter\.1 \| hello from greeter\.1/)
  expect(status).toBe(0)
})
