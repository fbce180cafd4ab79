// Type-checks the examples in README.md and in the doc comments, as a user would have them.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const dir = join('node_modules', '.examples')
rmSync(dir, { recursive: true, force: true })
mkdirSync(dir, { recursive: true })
let n = 0
const collect = (name, text) => {
  for (const [, code] of text.matchAll(/```ts\n([\s\S]*?)```/g)) writeFileSync(join(dir, `${name}-${++n}.ts`), code + '\nexport {}\n')
}
collect('readme', readFileSync('README.md', 'utf8'))
for (const f of readdirSync('src', { recursive: true }).map(String).filter((f) => f.endsWith('.ts')))
  collect(f.replace(/\W/g, '-'), readFileSync(join('src', f), 'utf8').replaceAll(/^ *\* ?/gm, ''))
if (n < 5) throw new Error(`found only ${n} examples: is the search still right?`)
writeFileSync(
  join(dir, 'tsconfig.json'),
  JSON.stringify({
    compilerOptions: {
      target: 'ES2022', module: 'NodeNext', moduleResolution: 'NodeNext', lib: ['ES2022', 'DOM', 'DOM.Iterable'], types: [],
      strict: true, noEmit: true, skipLibCheck: true,
      paths: {
        '@tacet/browser': ['../../dist/index.d.ts'],
        ...Object.fromEntries(['axios', 'sessions', 'grants', 'envelope', 'envelope/axios', 'encryption', 'vue', 'react'].map((n) => ['@tacet/browser/' + n, [`../../dist/adapters/${n}.d.ts`]])),
      },
    },
    include: ['*.ts'],
  }),
)
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', dir], { stdio: 'inherit' })
console.log(`${n} examples type-check`)
