import { inject } from 'vitest'

const HERE = {
  postgres: () => true,
  amqp: () => inject('amqpUrl') !== undefined,
  redis: () => inject('redisUrl') !== undefined,
  celery: () => inject('hasCelery'),
}

/** True if one of these services is missing. Tests that need it are skipped, and the end of the run reports it (global-setup.ts). */
export const lacks = (...needs: readonly (keyof typeof HERE)[]): boolean => needs.some((need) => !HERE[need]())
