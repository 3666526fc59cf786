import { inject } from 'vitest'

const HERE = {
  postgres: () => true,
  amqp: () => inject('amqpUrl') !== undefined,
  redis: () => inject('redisUrl') !== undefined,
  celery: () => inject('hasCelery'),
}

/** Is one of these missing here? Then a test that needs it is skipped, which is said at the end of the run (global-setup.ts). */
export const lacks = (...needs: readonly (keyof typeof HERE)[]): boolean => needs.some((need) => !HERE[need]())
