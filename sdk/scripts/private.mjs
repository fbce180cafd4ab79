// The properties that only src/core uses: in dist/ they have short names. A property may be here if nobody else meets it:
// no user (api.d.ts), no other tab and no server (token, generation, session, ...), and nothing of the platform.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, transform } from 'esbuild'

const PRIVATE = [
  // State
  'deadline', 'destroyed', 'doubtUntil', 'effects', 'epoch', 'failure', 'failures', 'futile', 'notBefore', 'over', 'signOuts', 'used',
  // Message, Observation
  'endpoint', 'had', 'isAccepted', 'isNewest', 'pause', 'repeated', 'restored', 'time',
  // Core, and what it is put together from
  'base', 'count', 'emit', 'grant', 'identified', 'isBody', 'isDurable', 'isShared', 'isStored', 'locked', 'platform', 'post', 'read', 'rival', 'running', 'state', 'tell', 'trusted', 'waiting', 'write',
]
const mangleProps = new RegExp(`^(${PRIVATE.join('|')})$`)

const met = readFileSync('api.d.ts', 'utf8') + readFileSync('src/core/platform.ts', 'utf8')
const clash = PRIVATE.filter((name) => new RegExp(`\\b${name}\\??:`).test(met))
if (clash.length) throw new Error(`Not private: ${clash.join(', ')}. Take them off the list in scripts/private.mjs.`)

const core = readdirSync('src/core').map((file) => readFileSync(join('src/core', file), 'utf8')).join('')
const quoted = PRIVATE.filter((name) => core.includes(`'${name}'`))
if (quoted.length) throw new Error(`Private, but named by a string: ${quoted.join(', ')}. A string keeps its long name.`)

/** Gives the modules of src/core in `out` their short names. */
export const shorten = async (out) => {
  // The whole bundle says which names are the most frequent.
  const { mangleCache } = await build({ entryPoints: [join(out, 'index.js')], bundle: true, minify: true, format: 'esm', write: false, mangleProps, mangleCache: {} })
  const modules = readdirSync(join(out, 'core')).filter((file) => file.endsWith('.js'))
  for (const path of modules.map((file) => join(out, 'core', file)))
    writeFileSync(path, (await transform(readFileSync(path, 'utf8'), { mangleProps, mangleCache, target: 'es2022' })).code)
}
