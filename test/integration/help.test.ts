import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { OPTIONS as SUPERVISOR_OPTIONS } from '../../supervisor/options.ts'
import { COMMANDS_WITH_OPTIONS } from '../support/commands-with-options.ts'
import { root } from '../support/import-graph.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

describe('help', () => {
  const help = (...argv: string[]): string =>
    execFileSync(process.execPath, [join(root, 'dist/src/main.js'), ...argv], { cwd: root, encoding: 'utf8' })

  test('of the supervisor lists each option', () => {
    const text = help('help')
    for (const name of Object.keys(SUPERVISOR_OPTIONS)) expect(text, name).toMatch(new RegExp(`--${name}\\b`))
  })

  test.each([...COMMANDS_WITH_OPTIONS, 'migrate'])(
    'of %s fits a screen of 40 lines, and names each option and exit code',
    (command) => {
      const text = help(command, '--help')
      expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(40)
      const source = read(`src/commands/${command}.ts`)
      const declared = [...source.matchAll(/'?([a-z-]+)'?: \{ type: '(?:string|boolean)'/g)]
      for (const [, name] of declared) expect(text, name).toMatch(new RegExp(`--${name}\\b`))
      if (command !== 'migrate') expect(declared.length).toBeGreaterThan(0)
      expect(text).toContain('Exit codes: 0 ')
    },
  )

  test('of onedyno lists every command of the task system', () => {
    const text = help('help')
    for (const [, command] of read('src/main.ts').matchAll(/^ {2}'?([a-z-]+)'?: \(\) => import/gm))
      expect(text).toMatch(new RegExp(`^  ${command} `, 'm'))
    const [ofSupervisor = '', ofRoles = ''] = text.split('\nCommands of the task system')
    expect(ofSupervisor.trimEnd().split('\n').length).toBeLessThanOrEqual(40)
    expect(ofRoles.trimEnd().split('\n').length).toBeLessThanOrEqual(20)
  })
})
