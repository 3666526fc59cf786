import { createRequire } from 'node:module'
import type { ValidateFunction } from 'ajv'
import { AppError } from '../../errors.ts'
import type { ArgumentSchemas } from '../task-options.ts'

/** Returns the name of a parameter: the `title` of its schema, or else its position. */
export function argumentName(schemas: ArgumentSchemas, index: number): string {
  const { title } = (schemas[index] ?? {}) as { title?: string }
  return title ?? `argument ${index + 1}`
}

/**
 * Returns a function that checks arguments against schemas. Ajv, a dependency of Fastify, is loaded at the first check, because
 * a worker never checks arguments.
 */
export function createArgumentCheck(task: string, schemas: ArgumentSchemas): (args: readonly unknown[]) => void {
  let validators: ValidateFunction[] | undefined
  const required = schemas.filter(
    (schema) => !('~optional' in schema) && (schema as { default?: unknown }).default === undefined,
  ).length
  return (args) => {
    if (args.length > schemas.length || args.length < required) {
      throw new AppError(
        'ARGUMENTS_INVALID',
        `${task} takes ${countOf(schemas, required)}, not ${args.length}: ${signatureOf(task, schemas)}`,
      )
    }
    validators ??= compile(schemas)
    for (const [index, value] of args.entries()) {
      const validate = validators[index]
      if (validate === undefined || validate(value)) continue
      const { instancePath = '', message = 'is not valid' } = validate.errors?.[0] ?? {}
      const name = `${argumentName(schemas, index)}${instancePath.replaceAll('/', '.')}`
      throw new AppError('ARGUMENTS_INVALID', `${task}: ${name} ${message}, not ${shown(value)}`)
    }
  }
}

/** Returns the name and parameters of a task, such as `tasks.fetch_url(url)`. */
export const signatureOf = (task: string, schemas: ArgumentSchemas): string =>
  `${task}(${schemas.map((_, index) => argumentName(schemas, index)).join(', ')})`

function countOf(schemas: ArgumentSchemas, required: number): string {
  const count = required === schemas.length ? `${required}` : `${required} to ${schemas.length}`
  return `${count} ${count === '1' ? 'argument' : 'arguments'}`
}

function compile(schemas: ArgumentSchemas): ValidateFunction[] {
  const { Ajv } = createRequire(import.meta.url)('ajv') as typeof import('ajv')
  const ajv = new Ajv({ strict: false, allowUnionTypes: true })
  return schemas.map((schema) => ajv.compile(schema))
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
