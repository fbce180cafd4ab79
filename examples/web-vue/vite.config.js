import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

export default defineConfig({
  base: './',
  plugins: [vue()],
  // The SDK is linked from this repository, where it has a Vue of its own for its tests.
  resolve: { dedupe: ['vue'] },
  // The auth server of `make dev`, and an API: `go run ./nethttp` in the directory above.
  server: {
    proxy: {
      '/auth': 'http://127.0.0.1:8080',
      '/api': { target: 'http://127.0.0.1:9000', rewrite: (path) => path.slice('/api'.length) },
    },
  },
})
