// Bundles what a page would load of dist/, minifies and compresses it, and fails over the budget or if the sizes that the
// READMEs quote are old (--write makes them).
import { build } from 'esbuild'
import { readFileSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const budgets = [
  ['core + fetch', `export { createSession, TacetError } from './dist/index.js'`, 4896],
  ['core + fetch + axios', `export { createSession, TacetError } from './dist/index.js'; export { attach } from './dist/adapters/axios.js'`, 5376],
  ['sessions', `export { createSessions } from './dist/adapters/sessions.js'`, 640],
  ['grants', `export { createGrants } from './dist/adapters/grants.js'`, 2944],
  ['envelope', `export { createEnvelope, BusinessError } from './dist/adapters/envelope.js'`, 2048],
  ['envelope + axios', `export { createEnvelope, BusinessError } from './dist/adapters/envelope.js'; export { attachEnvelope } from './dist/adapters/envelope/axios.js'`, 3072],
  ['encryption', `export { createEncryption, EncryptionError } from './dist/adapters/encryption.js'`, 3072],
  ['vue', `export * from './dist/adapters/vue.js'`, 1024],
  ['react', `export * from './dist/adapters/react.js'`, 1024],
]
let over = false
const rows = []
const sizes = []
for (const [name, contents, budget] of budgets) {
  const out = await build({
    stdin: { contents, resolveDir: process.cwd(), loader: 'js' },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    external: ['axios', 'vue', 'react'],
    write: false,
  })
  const bytes = gzipSync(out.outputFiles[0].contents, { level: 9 }).length
  if (bytes > budget) over = true
  sizes.push(bytes)
  rows.push(`| ${name} | ${bytes} B | ${budget} B |`)
  console.log(`${name}: ${bytes} B min+gzip of ${budget} B (${out.outputFiles[0].contents.length} B minified)`)
}
const table = ['', '| | size | at most |', '| --- | --- | --- |', ...rows, ''].join('\n')
const [fetch, axios] = sizes.map((n) => n.toLocaleString('en'))
for (const [file, quoted, now] of [
  ['README.md', /(?<=<!-- sizes -->)[^]*(?=<!-- \/sizes -->)/, table],
  ['../README.md', /(?<=\| SDK core and fetch, min\+gzip \| )[\d,]+ B; with axios [\d,]+ B/, `${fetch} B; with axios ${axios} B`],
  ['../README.zh-CN.md', /(?<=\| SDK 核心与 fetch，min\+gzip \| )[\d,]+ B；含 axios [\d,]+ B/, `${fetch} B；含 axios ${axios} B`],
]) {
  const text = readFileSync(file, 'utf8')
  if (!quoted.test(text)) throw new Error(`${file} quotes no sizes any more`)
  const next = text.replace(quoted, now)
  if (process.argv.includes('--write')) writeFileSync(file, next)
  else if (next !== text) {
    console.error(`The sizes in ${file} are old: run "npm run size -- --write" and commit it.`)
    over = true
  }
}
if (over) process.exit(1)
