import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** One arrow: a file of ours and what it imports, as a path of ours or as the name of a package. */
export interface Import {
  readonly from: string
  /** `src/errors.ts`, `node:fs`, `pg`, `@fastify/cookie`: a subpath of a package is its package. */
  readonly to: string
  /** Gone after compilation. */
  readonly typeOnly: boolean
  /** Loaded when asked for, not at start. */
  readonly lazy: boolean
}

export const root = join(import.meta.dirname, '../..')

/** Paths of source files below `folders`, from the root of the repository. */
export const sourceFiles = (folders: readonly string[]): string[] =>
  globSync(
    folders.map((folder) => `${folder}/**/*.ts`),
    { cwd: root },
  ).sort()

export const readSource = (file: string): string => readFileSync(join(root, file), 'utf8')

/** All that `text`, the contents of `file`, imports: statically, by `import()`, or by a `require` made with createRequire. */
export function importsOf(file: string, text: string): Import[] {
  const code = withoutComments(text)
  const found: Import[] = []
  const add = (specifier: string, typeOnly: boolean, lazy: boolean) =>
    found.push({ from: file, to: target(file, specifier), typeOnly, lazy })
  for (const [, words = '', specifier = ''] of code.matchAll(/^\s*((?:import|export)\b[^'"`;=()]*?from)\s*['"]([^'"]+)['"]/gm))
    add(specifier, isTypeOnly(words), false)
  for (const [, specifier = ''] of code.matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm)) add(specifier, false, false)
  for (const [, type, specifier = ''] of code.matchAll(/(\btypeof\s+)?\bimport\(\s*['"]([^'"]+)['"]\s*\)/g))
    add(specifier, type !== undefined, true)
  for (const [, specifier = ''] of code.matchAll(/\b(?:require|createRequire\([^)]*\))\(\s*['"]([^'"]+)['"]\s*\)/g))
    add(specifier, false, true)
  return found
}

/** What is left of a text that only explains: `from 'pg'` in a comment is no import. */
export const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/[^\n]*/g, '$1')

/** `import type { A } from`, or every name in the braces marked `type`. */
function isTypeOnly(words: string): boolean {
  if (/^(import|export)\s+type\b/.test(words)) return true
  const names = /^(?:import|export)\s*\{([^}]*)\}\s*from$/.exec(words)?.[1]
  return names?.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type ')) ?? false
}

function target(file: string, specifier: string): string {
  if (specifier.startsWith('.')) return relative(root, join(root, dirname(file), specifier))
  if (specifier.startsWith('node:')) return specifier
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** A chain of files that ends where it began, or undefined. Imports of types are no dependency at run time. */
export function findCycle(imports: readonly Import[]): string[] | undefined {
  const next = new Map<string, string[]>()
  for (const { from, to, typeOnly } of imports) if (!typeOnly) next.set(from, [...(next.get(from) ?? []), to])
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return undefined
    for (const to of next.get(file) ?? []) {
      const cycle = walk(to, [...path, file])
      if (cycle !== undefined) return cycle
    }
    done.add(file)
    return undefined
  }
  for (const file of next.keys()) {
    const cycle = walk(file, [])
    if (cycle !== undefined) return cycle
  }
  return undefined
}
