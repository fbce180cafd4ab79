// The server's rule for permissions, held to the server's own vectors.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { covers } from '../src/adapters/grants/covers.js'

const vectors = JSON.parse(readFileSync('../spec/vectors/permissions.json', 'utf8')) as { granted: string; wanted: string; covers: boolean }[]

test('covers() agrees with wire.Covers on all vectors', () => {
  expect(vectors.length).toBeGreaterThan(200)
  expect(vectors.filter((v) => v.covers).length).toBeGreaterThan(40)
  for (const v of vectors) expect(covers(v.granted, v.wanted), `${v.granted} covers ${v.wanted}`).toBe(v.covers)
})

test('only printable ASCII makes a permission', () => {
  for (let c = 0; c < 256; c++) {
    const s = 'a' + String.fromCharCode(c) + 'a'
    expect(covers('*', s), JSON.stringify(s)).toBe(c > 0x20 && c < 0x7f && !'"\\'.includes(s[1]!))
  }
})
