import { AppError } from '../../errors.ts'
import type { ApplyOptions } from '../apply-options.ts'

/** The queue and priority of a task, used if neither the call nor the task sets them. */
export interface Route {
  readonly queue?: string | undefined
  /** 0 to 255. Higher priorities run first. */
  readonly priority?: number | undefined
}

/** A route, or a function that returns a route. If the function returns undefined, the next matching route is used. */
export type RouteTarget = Route | ((name: string, args: readonly unknown[], options: ApplyOptions) => Route | undefined)

export interface Routes {
  /** Adds a route. @throws AppError TASK_OPTION_INVALID */
  add(pattern: string | RegExp | Readonly<Record<string, RouteTarget>>, target?: RouteTarget): void
  /** Returns the first route that matches, or undefined. */
  find(name: string, args: readonly unknown[], options: ApplyOptions): Route | undefined
}

/** Creates a list of routes. The first matching route in the order of adding is used, as with Celery's `task_routes`. */
export function createRoutes(check: (route: Route, where: string) => void): Routes {
  const routes: { readonly matches: (name: string) => boolean; readonly target: RouteTarget; readonly where: string }[] = []

  const addOne = (pattern: string | RegExp, target: RouteTarget | undefined) => {
    const where = `the route ${pattern}`
    if (typeof target !== 'function') {
      if (target === null || typeof target !== 'object')
        throw new AppError('TASK_OPTION_INVALID', `${where} must have a target: an object { queue, priority } or a function`)
      check(target, where)
    }
    routes.push({ matches: matcherOf(pattern), target, where })
  }

  return {
    add(pattern, target) {
      if (typeof pattern === 'string' || pattern instanceof RegExp) return addOne(pattern, target)
      if (pattern === null || typeof pattern !== 'object' || target !== undefined)
        throw new AppError('TASK_OPTION_INVALID', 'the arguments of route() must be (pattern, target), or one object of patterns')
      // Within one object, an exact name takes precedence over a glob, in whatever order they are written.
      const entries = Object.entries(pattern)
      for (const [name, to] of entries) if (!isGlob(name)) addOne(name, to)
      for (const [glob, to] of entries) if (isGlob(glob)) addOne(glob, to)
    },
    find(name, args, options) {
      for (const { matches, target, where } of routes) {
        if (!matches(name)) continue
        if (typeof target !== 'function') return target
        const route = target(name, args, options)
        if (route === undefined || route === null) continue
        check(route, where)
        return route
      }
      return undefined
    },
  }
}

const isGlob = (pattern: string) => /[*?[]/.test(pattern)

function matcherOf(pattern: string | RegExp): (name: string) => boolean {
  // A RegExp with the flag g or y keeps `lastIndex` between calls and would match only every second time.
  if (pattern instanceof RegExp) return (name) => new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')).test(name)
  if (!isGlob(pattern)) return (name) => name === pattern
  const expression = globExpression(pattern)
  return (name) => expression.test(name)
}

/**
 * Converts a glob to a RegExp, with the syntax of Python's fnmatch: `*`, `?`, `[abc]`, `[!abc]`. An unclosed bracket matches a
 * bracket.
 */
function globExpression(glob: string): RegExp {
  const source = glob.replace(/\*+|\?|\[(!?)(\]?[^\]]*)\]|[^*?]/gs, (token, not: string | undefined, set: string | undefined) => {
    if (token.startsWith('*')) return '.*'
    if (token === '?') return '.'
    if (set !== undefined) return `[${not === '!' ? '^' : ''}${set.replace(/[\\\]^[]/g, '\\$&')}]`
    return token.replace(/[\\^$.|+()[\]{}/-]/g, '\\$&')
  })
  return new RegExp(`^(?:${source})$`, 's')
}
