/** JSON of an object, or null for an empty one, because default values are not stored. */
export function sparseJson(value: object): string | null {
  for (const _key in value) return JSON.stringify(value)
  return null
}
