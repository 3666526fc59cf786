/** JSON of an object, or null for an empty one: what has only default values is not stored. */
export function sparseJson(value: object): string | null {
  for (const _key in value) return JSON.stringify(value)
  return null
}
