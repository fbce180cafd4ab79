// Users for Tacet in Node, nothing but its own modules.
//
//   openssl rand -hex 32 > secret
//   SECRET_FILE=secret node users.mjs
//   tacet serve --users-url http://127.0.0.1:9100 --users-secret-file secret
//
// Replace the map by your own table; the two calls of Tacet are authenticate and
// getUser. Whatever goes wrong must not look like "no such user": an exception is
// answered 500, which signs nobody out.
import { createHash, randomBytes, scrypt as slow, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { promisify } from 'node:util'

const secret = readFileSync(process.env.SECRET_FILE, 'utf8').trim()
const tacet = process.env.TACET_URL ?? 'http://127.0.0.1:8080'
const permissions = { viewer: ['orders:read'], clerk: ['orders:*'] }
const scrypt = promisify(slow)

async function newUser(id, username, name, role) {
  const salt = randomBytes(16)
  return { id, username, name, role, version: 1, salt, hash: await scrypt(username + '-password', salt, 32) }
}

const users = new Map()
for (const u of [await newUser('7', 'ada', 'Ada Lovelace', 'viewer'), await newUser('8', 'grace', 'Grace Hopper', 'viewer')]) users.set(u.id, u)
const nobody = await newUser('', '', '', 'viewer') // so that unknown names take as long as known ones

async function authenticate({ username, password }) {
  const user = [...users.values()].find(u => u.username === username) ?? nobody
  const right = timingSafeEqual(await scrypt(password, user.salt, 32), user.hash)
  return right && user !== nobody ? [200, shown(user)] : [403]
}

const getUser = id => users.has(id) ? [200, shown(users.get(id))] : [404]

const shown = u => ({
  id: u.id, username: u.username, display_name: u.name, roles: [u.role],
  permissions: permissions[u.role], grants_version: u.version, settings: {},
})

async function setRole(id, role) {
  const user = users.get(id)
  if (!user || !permissions[role]) return [404]
  user.role = role
  user.version++
  await grantsChanged(id, user.version)
  return [204]
}

async function remove(id) {
  const user = users.get(id)
  if (!user) return [404]
  users.delete(id)
  await grantsChanged(id, user.version + 1) // the next refresh asks, and finds nobody
  return [204]
}

// grantsChanged tells Tacet, after the change is stored.
async function grantsChanged(id, version) {
  const response = await fetch(`${tacet}/auth/admin/users/${encodeURIComponent(id)}/grants-changed`, {
    method: 'POST',
    headers: { authorization: 'Bearer ' + secret, 'content-type': 'application/json' },
    body: JSON.stringify({ grants_version: version }),
    signal: AbortSignal.timeout(5000),
  })
  if (!response.ok) throw new Error(`grants-changed was answered ${response.status}`)
}

const digest = text => createHash('sha256').update(text).digest()
const allowed = request => timingSafeEqual(digest(request.headers.authorization ?? ''), digest('Bearer ' + secret))

async function answer(request) {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  if (!allowed(request)) return [401]
  const body = text ? JSON.parse(text) : {}
  const [, first, id, last] = request.url.split('/').map(decodeURIComponent)
  if (request.method === 'POST' && first === 'authenticate') return authenticate(body)
  if (request.method === 'GET' && first === 'users') return getUser(id)
  if (request.method === 'PUT' && first === 'users' && last === 'role') return setRole(id, body.role) // yours, for the example
  if (request.method === 'DELETE' && first === 'users') return remove(id)
  return [400]
}

const server = createServer(async (request, response) => {
  let status = 500, user // an outage, never "no such user"
  try {
    [status, user] = await answer(request)
  } catch (e) {
    console.error(e)
  }
  response.writeHead(status, { 'content-type': 'application/json' }).end(user && JSON.stringify(user))
})
server.listen(process.env.PORT ?? 9100, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`))
