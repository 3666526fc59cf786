import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { type CommandEnd, runProgram } from './command.ts'
import { root } from './import-graph.ts'
import { type RoleProcess, startRole } from './role.ts'

const execute = promisify(execFile)

/** A copy of this repository in a folder of its own, which runs from its sources. */
export interface Checkout {
  readonly folder: string
  onedyno(env: Readonly<Record<string, string>>, ...args: string[]): Promise<CommandEnd>
  startRole(role: 'web' | 'worker' | 'beat', env: Record<string, string>): Promise<RoleProcess>
  /** Runs an ES module that lies in the folder of the checkout, so that it can import `./src/index.ts`. */
  script(env: Readonly<Record<string, string>>, text: string): Promise<CommandEnd>
  addMigration(name: string, sql: string): Promise<void>
  drop(): Promise<void>
}

export interface CheckoutOptions {
  /** Default: the files of the working tree. */
  readonly commit?: string
  /** Packages that are not installed there. */
  readonly without?: readonly string[]
}

export async function createCheckout({ commit, without = [] }: CheckoutOptions = {}): Promise<Checkout> {
  const folder = await mkdtemp(join(tmpdir(), 'onedyno-checkout-'))
  if (commit === undefined)
    for (const part of ['src', 'supervisor', 'sql', 'package.json', 'Procfile.real'])
      await cp(join(root, part), join(folder, part), { recursive: true })
  else await execute('sh', ['-c', `git archive "$0" | tar -x -C "$1"`, commit, folder], { cwd: root })
  await linkPackages(folder, without)
  const main = join(folder, 'src/main.ts')
  return {
    folder,
    onedyno: (env, ...args) => runProgram(env, main, ...args),
    startRole: (role, env) => startRole(role, env, [], { main: relative(root, main) }),
    async script(env, text) {
      const file = join(folder, `script-${Math.random().toString(36).slice(2)}.mjs`)
      await writeFile(file, text)
      return runProgram(env, file)
    },
    addMigration: (name, sql) => writeFile(join(folder, 'sql/migrations', `${name}.sql`), sql),
    drop: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Links each package on its own, so that some can be left out. */
async function linkPackages(folder: string, without: readonly string[]): Promise<void> {
  const packages = join(root, 'node_modules')
  await mkdir(join(folder, 'node_modules'))
  for (const name of await readdir(packages))
    if (!without.includes(name)) await symlink(join(packages, name), join(folder, 'node_modules', name))
}
