import { defineConfig } from 'vitest/config'

const isCi = process.env.CI === 'true'

/**
 * Unit tests run side by side; after them, one file at a time, what starts servers and processes, because two cores are all there is.
 * On the shared machine of CI a test that failed is tried again, and the report says so: real processes and real time are in it.
 */
const slow = { fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 }

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    reporters: isCi ? ['default'] : ['dot'],
    retry: isCi ? 2 : 0,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/*.test.ts', 'test/src/**/*.test.ts', 'test/supervisor/**/*.test.ts'],
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'integration', include: ['test/integration/**/*.test.ts'], sequence: { groupOrder: 1 }, ...slow },
      },
      { extends: true, test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], sequence: { groupOrder: 2 }, ...slow } },
    ],
  },
})
