/** To whom a request goes, as kombu's mailboxes have it: a list of names, or a pattern, or everybody. */
export interface Destination {
  readonly destination?: readonly string[] | null
  readonly pattern?: string | null
  /** `glob` (kombu's default) or `pcre`. */
  readonly matcher?: string | null
}

/** Nobody names workers with longer ones, and what comes from the network is bounded. */
const MAX_PATTERN = 200

export function isAddressed({ destination, pattern, matcher }: Destination, hostname: string): boolean {
  if (Array.isArray(destination)) return destination.includes(hostname)
  if (typeof destination === 'string') return destination === hostname
  if (typeof pattern !== 'string' || pattern === '') return true
  if (pattern.length > MAX_PATTERN) return false
  return matcher === 'pcre' ? matchesExpression(pattern, hostname) : matchesGlob(pattern, hostname)
}

/** `re.match`: from the beginning, not to the end. */
function matchesExpression(pattern: string, hostname: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})`).test(hostname)
  } catch {
    return false
  }
}

/** `fnmatch`: `*`, `?` and `[abc]`. */
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
