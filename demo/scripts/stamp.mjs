// Writes static/BUILD: one hash of everything that the built page is made of.
// The Go test TestThePageIsBuiltFromItsSources computes the same.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FILES = ['demo/index.html', 'demo/package.json', 'demo/package-lock.json', 'demo/tsconfig.json', 'demo/vite.config.ts'];
const FOLDERS = ['demo/src', 'sdk/src'];

const files = [...FILES];
for (const folder of FOLDERS) {
  for (const entry of readdirSync(root + folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) files.push(`${entry.parentPath.slice(root.length)}/${entry.name}`.replaceAll('\\', '/'));
  }
}
const all = createHash('sha256');
for (const name of files.sort()) {
  all.update(`${name} ${createHash('sha256').update(readFileSync(root + name)).digest('hex')}\n`);
}
writeFileSync(root + 'internal/demo/static/BUILD', all.digest('hex') + '\n');
