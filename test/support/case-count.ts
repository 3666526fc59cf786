/**
 * Number of cases that a property test or a brute-force comparison runs: `quick` by default, so that the unit tests of a room end in
 * seconds; `thorough` if CI=true.
 */
export const caseCount = (quick: number, thorough: number): number => (process.env.CI === 'true' ? thorough : quick)
