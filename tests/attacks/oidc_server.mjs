// npm's oidc-provider with rotating refresh tokens whose second use revokes the grant, and a few switches of our own.
import { createRequire } from 'node:module'
import { createServer } from 'node:http'
import { pathToFileURL } from 'node:url'

const require = createRequire(`${process.env.BED_MODULES}/x.js`)
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href)

const counts = { requests: 0, refreshed: 0, reused: 0, killed: 0 }
let slow = null
let provider

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1')
  const say = (status, content) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(content))
  }
  try {
    if (url.pathname === '/_bed/grant') return say(200, await grant())
    if (url.pathname === '/_bed/counts') return say(200, counts)
    if (url.pathname === '/_bed/expire') return say(200, await expire())
    if (url.pathname === '/_bed/slow') {
      slow = { seconds: Number(url.searchParams.get('seconds')), after: url.searchParams.get('after') === '1' }
      return say(200, {})
    }
    if (url.pathname === '/api/me') {
      const token = (request.headers.authorization ?? '').replace('Bearer ', '')
      const found = token && (await provider.AccessToken.find(token))
      return say(found && !expired.has(token) ? 200 : 401, {})
    }
    if (url.pathname === '/token') counts.requests += 1
    handle(request, response)
  } catch (error) {
    say(500, { error: String(error) })
  }
})

await new Promise((done) => server.listen(0, '127.0.0.1', done))
const issuer = `http://127.0.0.1:${server.address().port}`
provider = new Provider(issuer, {
  clients: [{
    client_id: 'clew', token_endpoint_auth_method: 'none', application_type: 'native',
    redirect_uris: ['http://127.0.0.1/callback'], grant_types: ['authorization_code', 'refresh_token'],
  }],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  rotateRefreshToken: true,
  scopes: ['openid', 'offline_access'],
  ttl: { AccessToken: 3600, RefreshToken: 86400, Grant: 86400 },
})
provider.use(async (context, next) => {
  const pause = context.path === '/token' ? slow : null
  if (pause) slow = null
  const wait = () => new Promise((done) => setTimeout(done, pause.seconds * 1000))
  if (pause && !pause.after) await wait()
  await next()
  if (pause && pause.after) await wait()
})
provider.on('refresh_token.consumed', () => { counts.refreshed += 1 })
provider.on('grant.error', (_, error) => { if (/already used/.test(error.error_detail ?? '')) counts.reused += 1 })
provider.on('grant.revoked', () => { counts.killed += 1 })
const handle = provider.callback()

const given = new Set()
const expired = new Set()

async function grant () {
  const client = await provider.Client.find('clew')
  const made = new provider.Grant({ accountId: 'ada', clientId: 'clew' })
  made.addOIDCScope('openid offline_access')
  const grantId = await made.save()
  const common = { accountId: 'ada', client, grantId, gty: 'authorization_code', scope: 'openid offline_access' }
  const access = await new provider.AccessToken({ ...common }).save()
  const refresh = await new provider.RefreshToken({ ...common, rotations: 0 }).save()
  given.add(access)
  return { access_token: access, refresh_token: refresh }
}
provider.on('access_token.issued', (token) => { given.add(token.jti) })

async function expire () {
  for (const token of given) expired.add(token)
  given.clear()
  return {}
}

console.log(JSON.stringify({ url: issuer }))
