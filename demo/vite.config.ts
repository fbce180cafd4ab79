import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const path = (p: string) => fileURLToPath(new URL(p, import.meta.url));

export default defineConfig({
  resolve: { alias: { '@tacet/browser/grants': path('../sdk/src/adapters/grants.ts'), '@tacet/browser': path('../sdk/src/index.ts') } },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: path('../internal/demo/static'),
    emptyOutDir: true,
    // No inlined data: the page's policy and the reader's eyes both prefer files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
  },
  // `npm run dev` shows the page with the server of `tacet dev` behind it.
  server: { proxy: { '^/(auth|api|demo)/': 'http://127.0.0.1:8080' } },
  test: { include: ['test/**/*.test.ts'] },
});
