/**
 * The receivers of a request, in kombu's form: a list of worker names, or a pattern. If both are absent, all workers receive it.
 */
export interface Destination {
  readonly destination?: readonly string[] | null
  readonly pattern?: string | null
  /** `glob` (kombu's default) or `pcre`. */
  readonly matcher?: string | null
}

/**
 * Largest length of a pattern, in characters. No worker name needs a longer pattern, and the size of input from the network must
 * be limited.
 */
const MAX_PATTERN = 200

export function isAddressed({ destination, pattern, matcher }: Destination, hostname: string): boolean {
  if (Array.isArray(destination)) return destination.includes(hostname)
  if (typeof destination === 'string') return destination === hostname
  if (typeof pattern !== 'string' || pattern === '') return true
  if (pattern.length > MAX_PATTERN) return false
  return matcher === 'pcre' ? matchesExpression(pattern, hostname) : matchesGlob(pattern, hostname)
}

/** Matches like Python's `re.match`, which is anchored at the start only. */
function matchesExpression(pattern: string, hostname: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})`).test(hostname)
  } catch {
    return false
  }
}

/** Matches like Python's `fnmatch`, with `*`, `?` and `[abc]`. */
function matchesGlob(pattern: string, text: string): boolean {
  const parts = pattern.split(/(\*|\?|\[!?[^\]]+\])/).filter((part) => part !== '')
  const expression = parts
    .map((part) => {
      if (part === '*') return '.*'
      if (part === '?') return '.'
      if (part.startsWith('[') && part.endsWith(']')) return part.replace('[!', '[^').replaceAll('\\', '\\\\')
      return part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    })
    .join('')
  return new RegExp(`^${expression.replace(/(?:\.\*)+/g, '.*')}$`, 's').test(text)
}
