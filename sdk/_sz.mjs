import { build } from 'esbuild'
import { gzipSync } from 'node:zlib'
const out = await build({stdin:{contents:`export { createSession, TacetError } from './src/index.ts'`,resolveDir:process.cwd(),loader:'ts'},bundle:true,minify:true,format:'esm',target:'es2022',write:false,external:['axios']})
const c=out.outputFiles[0].contents; if(process.argv[2])console.log(out.outputFiles[0].text); console.log(c.length,gzipSync(c,{level:9}).length)
