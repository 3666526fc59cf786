/**
 * Identifiers that were given up, each with the word of docs/glossary.md that replaced it. They must not come back in src, supervisor or
 * sql. Case matters, and only whole identifiers count.
 */
export const RETIRED: Readonly<Record<string, string>> = {
  alike: 'unreachable',
  alikeOf: 'unreachableOf',
  AttemptEnds: 'Conclude',
  createSettings: 'createEffectiveOptions',
  createSettlement: 'createFinish',
  endingOf: 'controlFlowOf',
  endsWithin: 'withTimeout',
  ignoredSequel: 'ignoredEffects',
  isPlaced: 'hasPermit',
  letGo: 'cutOff',
  Patience: 'WaitSignal',
  patienceOf: 'createWaitSignal',
  PLACED: 'HAS_PERMIT',
  Sequel: 'Effects',
  sequel: 'effects',
  sequelOf: 'effectsOf',
  takePlace: 'nextPermit',
  TaskSettings: 'TaskOptionsHere',
  wishOf: 'controlFlowVerdict',
  withPlace: 'withPermit',
}
