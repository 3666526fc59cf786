import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { root } from '../../support/import-graph.ts'
import { onEveryBroker } from '../../support/task-worker.ts'

const hasScript = existsSync('/usr/bin/script')

onEveryBroker(
  'a confirmation at the terminal',
  (at) => {
    /** script(1) gives the command a terminal. `typed` is the answer to its question. */
    const purge = async (typed: string) => {
      const command = `${process.execPath} ${join(root, 'src/main.ts')} purge celery`
      const env = { PATH: process.env.PATH, TERM: 'xterm', ...at.env }
      const child = spawn('script', ['-qec', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] })
      let said = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        if (!said.includes('[y/N]') && (said + text).includes('[y/N]')) child.stdin.write(typed)
        said += text
      })
      const [code] = await once(child, 'close')
      return { code, said }
    }

    it.runIf(hasScript).each([
      ['Ctrl-C', '\x03', 1, 1],
      ['Ctrl-D', '\x04', 1, 1],
      ['Enter', '\r', 1, 1],
      ['no', 'no\r', 1, 1],
      ['y', 'y\r', 0, 0],
    ])('deletes messages only if the answer is yes (answer: %s)', async (_name, typed, status, left) => {
      await at.app.sendTask('tasks.none', [])
      const { code, said } = await purge(typed)
      expect(said).toContain('Delete 1 waiting message')
      expect(said).not.toContain('bug:')
      expect(code).toBe(status)
      expect(await at.broker.depths(['celery'])).toMatchObject(left === 0 ? [{ ready: 0 }] : [{ ready: left }])
      await at.broker.purge('celery')
    })
  },
  { only: ['postgres'] },
)
