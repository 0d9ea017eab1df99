// A certified OpenID provider (npm oidc-provider) on a free loopback port, with one client for each way to prove itself.
// Arguments: the folder with node_modules, and a JSON object with the public key of the client `keyed`.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import http from 'node:http';

const require = createRequire(`${process.argv[2]}/package.json`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
const { key } = JSON.parse(process.argv[3]);

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const person = {
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/callback'],
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token', DEVICE],
  token_endpoint_auth_method: 'none',
};
const machine = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] };
const server = http.createServer();

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      { ...person, client_id: 'public' },
      { ...person, client_id: 'console', client_secret: 'console-s3cret', token_endpoint_auth_method: 'client_secret_basic', redirect_uris: ['http://127.0.0.1/console/callback'] },
      { ...person, client_id: 'bound', dpop_bound_access_tokens: true },
      { ...person, client_id: 'confidential', client_secret: 'basic-s3cret', token_endpoint_auth_method: 'client_secret_basic' },
      { ...machine, client_id: 'basic', client_secret: 'basic-s3cret', token_endpoint_auth_method: 'client_secret_basic' },
      { ...machine, client_id: 'post', client_secret: 'post-s3cret', token_endpoint_auth_method: 'client_secret_post' },
      { ...machine, client_id: 'keyed', token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'RS256', jwks: { keys: [key] } },
    ],
    features: {
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true },
      devInteractions: { enabled: true },
    },
    scopes: ['openid', 'offline_access', 'email', 'api:read', 'api:write'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.test`, email_verified: true }) }),
    conformIdTokenClaims: false,
    issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    ttl: { AccessToken: 600, RefreshToken: 3600, DeviceCode: 60, Session: 600, Grant: 3600, Interaction: 600, IdToken: 600, ClientCredentials: 600 },
    cookies: { keys: ['for tests only'] },
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  server.on('request', provider.callback());
  console.log(JSON.stringify({ issuer }));
});
