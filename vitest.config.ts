import { defineConfig } from 'vitest/config'

const isCi = process.env.CI === 'true'

/**
 * Unit tests (no server, no process) run in parallel. Integration and end-to-end tests follow, one file at a time, because they start
 * servers and processes and CI has two cores. CI retries a failed test, because these tests depend on real time; the report shows the retry.
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
