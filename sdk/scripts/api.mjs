// The public API, as one text: api.d.ts is committed, and a change of it is a decision. --write accepts the present one.
import { readFileSync, writeFileSync } from 'node:fs'

const files = ['index', 'core/error', 'core/types', ...['axios', 'sessions', 'grants', 'grants/types', 'grants/covers', 'envelope', 'envelope/types', 'envelope/error', 'envelope/axios', 'encryption', 'encryption/types', 'encryption/error', 'vue', 'react'].map((f) => 'adapters/' + f)]
const now = files
  .map((f) => `// ${f}.d.ts\n` + readFileSync(`dist/${f}.d.ts`, 'utf8').replaceAll(/\/\*\*[\s\S]*?\*\/\n?/g, '').replaceAll(/^\s*\n/gm, ''))
  .join('\n')
if (process.argv.includes('--write')) writeFileSync('api.d.ts', now)
else if (readFileSync('api.d.ts', 'utf8') !== now) {
  console.error('The public API has changed. If that is meant, run "npm run api -- --write" and commit api.d.ts.')
  process.exit(1)
} else console.log('The public API is as recorded')
