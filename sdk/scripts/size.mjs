// Bundles what a page would load, minifies and compresses it, and fails over the budget or if the table in README.md is
// old (--write makes it).
import { build } from 'esbuild'
import { readFileSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const budgets = [
  ['core + fetch', `export { createSession, TacetError } from './src/index.ts'`, 5376],
  ['core + fetch + axios', `export { createSession, TacetError } from './src/index.ts'; export { attach } from './src/adapters/axios.ts'`, 5888],
  ['grants', `export { createGrants } from './src/adapters/grants.ts'`, 2944],
  ['envelope', `export { createEnvelope, BusinessError } from './src/adapters/envelope.ts'`, 2048],
  ['envelope + axios', `export { createEnvelope, BusinessError } from './src/adapters/envelope.ts'; export { attachEnvelope } from './src/adapters/envelope/axios.ts'`, 3072],
  ['encryption', `export { createEncryption, EncryptionError } from './src/adapters/encryption.ts'`, 3072],
  ['vue', `export * from './src/adapters/vue.ts'`, 1024],
  ['react', `export * from './src/adapters/react.ts'`, 1024],
]
let over = false
const rows = []
for (const [name, contents, budget] of budgets) {
  const out = await build({
    stdin: { contents, resolveDir: process.cwd(), loader: 'ts' },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    external: ['axios', 'vue', 'react'],
    write: false,
  })
  const bytes = gzipSync(out.outputFiles[0].contents, { level: 9 }).length
  if (bytes > budget) over = true
  rows.push(`| ${name} | ${bytes} B | ${budget} B |`)
  console.log(`${name}: ${bytes} B min+gzip of ${budget} B (${out.outputFiles[0].contents.length} B minified)`)
}
const readme = readFileSync('README.md', 'utf8')
const table = ['', '| | size | at most |', '| --- | --- | --- |', ...rows, ''].join('\n')
const now = readme.replace(/(?<=<!-- sizes -->)[^]*(?=<!-- \/sizes -->)/, table)
if (process.argv.includes('--write')) writeFileSync('README.md', now)
else if (now !== readme) {
  console.error('The sizes in README.md are old: run "npm run size -- --write" and commit it.')
  over = true
}
if (over) process.exit(1)
