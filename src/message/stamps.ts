/**
 * One text for each stamp of a message or of a request to revoke by stamps. The value of a stamp is a single value or a list of values
 * (docs/internals/wire-protocol.md, "Headers").
 */
export function stampKeys(stamps: unknown): string[] {
  if (typeof stamps !== 'object' || stamps === null) return []
  return Object.entries(stamps).flatMap(([name, value]) => [value].flat().map((each) => JSON.stringify([name, each])))
}
