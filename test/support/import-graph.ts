import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** One import: a file of ours, and the file or package that it imports. */
export interface Import {
  readonly from: string
  /** `src/errors.ts`, `node:fs`, `pg`, `@fastify/cookie`: a subpath of a package is its package. */
  readonly to: string
  /** An import of types, which compilation removes. */
  readonly typeOnly: boolean
  /** Loaded when it is called, not at start. */
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

/** The imports of `text`, the contents of `file`: static ones, `import()`, and `require` made by createRequire. */
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

/** Removes the comments of a source text, because `from 'pg'` in a comment is not an import. */
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

/**
 * A chain of files that ends where it began, or undefined. Imports of types count: two files that need each other's types are read and
 * changed together.
 */
export function findCycle(imports: readonly Import[]): string[] | undefined {
  const next = new Map<string, string[]>()
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to])
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
