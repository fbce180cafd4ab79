import { defineConfig } from 'vitest/config'

// TACET_DIST=1 runs the tests on what is published; those of the state machine know its private names.
const dist = !!process.env.TACET_DIST

export default defineConfig({
  resolve: { alias: dist ? [{ find: /^\.\.\/src\//, replacement: new URL('dist/', import.meta.url).pathname }] : [] },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: dist ? ['test/state.test.ts'] : [],
    environment: 'node',
    typecheck: { enabled: false },
    testTimeout: 20_000,
  },
})
