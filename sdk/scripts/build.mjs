// Builds dist/: one file per module with types for packagers (private properties have short names, see private.mjs), and
// tacet.min.js for pages without one.
// --check builds elsewhere and fails when the committed dist/ is not what the sources make.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { build } from 'esbuild'
import { shorten } from './private.mjs'

const check = process.argv.includes('--check')
const out = check ? mkdtempSync(join(tmpdir(), 'tacet-sdk-')) : 'dist'
if (!check) rmSync(out, { recursive: true, force: true })

execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', out], { stdio: 'inherit' })
await shorten(out)
for (const [entry, file, external] of [
  ['index.js', 'tacet.min.js', []],
  ['adapters/axios.js', 'tacet.axios.min.js', ['axios']],
  ['adapters/grants.js', 'tacet.grants.min.js', []],
  ['adapters/encryption.js', 'tacet.encryption.min.js', []],
])
  await build({ entryPoints: [join(out, entry)], outfile: join(out, file), bundle: true, minify: true, format: 'esm', target: 'es2022', external })

const files = (dir) =>
  readdirSync(dir, { recursive: true })
    .map((f) => join(dir, String(f)))
    .filter((f) => statSync(f).isFile())
    .map((f) => [relative(dir, f), readFileSync(f, 'utf8')])
    .sort(([a], [b]) => (a < b ? -1 : 1))

if (check) {
  const want = new Map(files(out))
  const have = new Map(files('dist'))
  const stale = [...new Set([...want.keys(), ...have.keys()])].filter((f) => want.get(f) !== have.get(f))
  rmSync(out, { recursive: true })
  if (stale.length) {
    console.error(`dist/ is stale: ${stale.join(', ')}. Run "npm run build" in sdk/ and commit dist/.`)
    process.exit(1)
  }
  console.log('dist/ is up to date')
}
