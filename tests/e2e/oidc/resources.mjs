// npm's oidc-provider as the authorization server of a resource server: JWT access tokens (RFC 9068) for the resource that
// a client asks for (RFC 8707). Argument: the folder with node_modules.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import http from 'node:http';

const require = createRequire(`${process.argv[2]}/package.json`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
const server = http.createServer();

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'robot', client_secret: 'robot-s3cret', redirect_uris: [], response_types: [],
      grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_basic',
    }],
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'tools:read tools:write', audience: resource, accessTokenTTL: 300,
          accessTokenFormat: resource.includes('opaque') ? 'opaque' : 'jwt',
        }),
      },
    },
    cookies: { keys: ['for tests only'] },
  });
  server.on('request', provider.callback());
  console.log(JSON.stringify({ issuer }));
});
