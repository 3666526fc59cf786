/**
 * Identifiers that were given up, each with the word of docs/glossary.md that replaced it. They must not come back in src, supervisor or
 * sql. Case matters, and only whole identifiers count.
 */
export const RETIRED: Readonly<Record<string, string>> = {
  Patience: 'WaitSignal',
  PLACED: 'HAS_PERMIT',
  Sequel: 'Effects',
  alike: 'unreachable',
  alikeOf: 'unreachableOf',
  endingOf: 'controlFlowOf',
  endsWithin: 'withTimeout',
  ignoredSequel: 'ignoredEffects',
  patienceOf: 'createWaitSignal',
  sequel: 'effects',
  sequelOf: 'effectsOf',
}
