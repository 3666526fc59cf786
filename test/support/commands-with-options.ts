/** Commands of the task system that have options of their own. */
export const COMMANDS_WITH_OPTIONS = [
  'web',
  'worker',
  'beat',
  'tasks',
  'call',
  'result',
  'revoke',
  'purge',
  'queues',
  'dead-letters',
  'report',
]
