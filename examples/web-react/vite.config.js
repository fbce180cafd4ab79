import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  base: './',
  plugins: [react()],
  // The SDK is linked from this repository, where it has a React of its own for its tests.
  resolve: { dedupe: ['react', 'react-dom'] },
  // The auth server of `make dev`, and an API: `go run ./nethttp` in the directory above.
  server: {
    proxy: {
      '/auth': 'http://127.0.0.1:8080',
      '/api': { target: 'http://127.0.0.1:9000', rewrite: (path) => path.slice('/api'.length) },
    },
  },
})
