import { readFileSync } from 'node:fs'

/** One case of attack-cases.json. */
export interface AttackCase {
  readonly name: string
  readonly category: string
  readonly how: 'enqueue' | 'http' | 'raw' | 'inspect'
  readonly input: Input
  readonly expected: Expected
}

export interface Input {
  readonly task?: string
  readonly args?: readonly unknown[]
  readonly method?: string
  readonly path?: string
  readonly auth?: 'session' | 'bearer' | 'none'
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: Readonly<Record<string, string>>
  readonly raw_form?: string
  readonly json?: unknown
  readonly body?: string
  readonly body_repeat?: readonly [text: string, times: number]
  readonly bytes?: string
}

export interface Expected {
  readonly any_of?: readonly {
    readonly status: readonly number[]
    readonly run_state?: string
    readonly error_matches?: string
    readonly truncated?: boolean
  }[]
  readonly status?: readonly number[]
  readonly statuses?: readonly (readonly number[])[]
  readonly canary_hits?: number
  readonly max_ms?: number
  readonly then_health?: number
  readonly needs?: readonly string[]
  readonly body_not_contains?: readonly string[]
  readonly html_not_contains?: readonly string[]
  readonly csp_not_contains?: readonly string[]
  readonly header_matches?: Readonly<Record<string, string>>
  readonly set_cookie_matches?: readonly string[]
  readonly location_not_matches?: string
}

/** The cases that run automatically: without those for inspection by hand and the one that needs its own DNS server. */
export function loadAttackCases(): AttackCase[] {
  const file = new URL('../fixtures/cases/attack-cases.json', import.meta.url)
  const cases = JSON.parse(readFileSync(file, 'utf8')) as AttackCase[]
  return cases.filter(({ how, expected }) => how !== 'inspect' && expected.needs?.includes('mixed_host') !== true)
}

/** Replaces each `{{name}}` by its value. */
export function fill<T>(value: T, values: Readonly<Record<string, string | number>>): T {
  const text = JSON.stringify(value).replace(/\{\{(\w+)\}\}/g, (mark, name) => {
    return name in values ? JSON.stringify(String(values[name])).slice(1, -1) : mark
  })
  return JSON.parse(text) as T
}
