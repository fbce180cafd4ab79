// The program itself, as operators run it: `tacet serve`, `tacet dev`, `tacet user add`, …
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')

let built

/** Builds the program once per process and returns its path. */
function program() {
  built ??= (async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tacet-bin-'))
    const path = join(dir, 'tacet')
    const go = spawn('go', ['build', '-o', path, './cmd/tacet'], { cwd: root, stdio: 'inherit' })
    const [code] = await once(go, 'exit')
    if (code !== 0) throw new Error('go build ./cmd/tacet failed')
    process.on('exit', () => rm(dir, { recursive: true, force: true }))
    return path
  })()
  return built
}

/** A data directory, and commands on it. */
export async function newTacet() {
  const path = await program()
  const data = await mkdtemp(join(tmpdir(), 'tacet-data-'))
  let server
  let log = ''

  /** Runs a command; returns what it printed. */
  async function run(args, stdin = '') {
    const child = spawn(path, [...args, '--data', data], { stdio: ['pipe', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.on('data', (d) => (out += d))
    child.stderr.on('data', (d) => (err += d))
    child.stdin.end(stdin)
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`tacet ${args.join(' ')}: exit ${code}\n${err}`)
    return out
  }

  async function start(command, flags) {
    server = spawn(path, [command, '--listen', '127.0.0.1:0', '--log-format', 'json', '--data', data, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] })
    server.stderr.on('data', (d) => (log += d))
    for await (const line of createInterface({ input: server.stderr })) {
      const entry = line.startsWith('{') ? JSON.parse(line) : {}
      if (entry.msg !== 'listening') continue
      server.stderr.resume()
      return entry.public_url
    }
    throw new Error(`the server did not start:\n${log}`)
  }

  return {
    run,
    log: () => log,
    /** Starts the server on a free port and returns its URL. */
    serve: (...flags) => start('serve', flags),
    /** The same for the demo, which has users of its own. */
    dev: (...flags) => start('dev', flags),
    async stop() {
      if (server && server.exitCode === null) {
        server.kill('SIGTERM')
        await once(server, 'exit')
      }
      await rm(data, { recursive: true, force: true })
    },
  }
}
