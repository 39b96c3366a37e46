// An OpenID provider for tests: npm's oidc-provider over TLS on a loopback port. Anybody may log in, under any name, with any
// password. Commands come as lines on standard input: "rotate" (sign with a new key, forget the old one), "add" (sign with a new
// key, go on publishing the old one). Prints a line of JSON when it listens and after each command.
import { webcrypto, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

globalThis.crypto ??= webcrypto;
const [modules, certificate, key] = process.argv.slice(2);
const resolved = createRequire(modules + '/').resolve('oidc-provider');
const { default: Provider } = await import(pathToFileURL(resolved));

const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `https://127.0.0.1:${server.address().port}`;

let serial = 0;
let keys = [];
let handler;

function newKey() {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  serial += 1;
  return { ...pair.privateKey.export({ format: 'jwk' }), kid: `key-${serial}`, alg: 'RS256', use: 'sig' };
}

function account(_ctx, id) {
  const [name, ...groups] = id.split('+');
  return {
    accountId: id,
    claims: () => ({ sub: id, email: `${name}@example.test`, email_verified: true, groups, tier: 'gold' }),
  };
}

function client(id, more = {}) {
  return {
    client_id: id,
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://127.0.0.1/callback'],
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
    ...more,
  };
}

function start() {
  const provider = new Provider(issuer, {
    clients: [client('moorage'), client('another')],
    jwks: { keys },
    scopes: ['openid', 'offline_access', 'email', 'groups'],
    claims: { openid: ['sub', 'tier'], email: ['email', 'email_verified'], groups: ['groups'] },
    conformIdTokenClaims: false,
    findAccount: account,
    cookies: { keys: ['test'] },
    pkce: { required: () => true },
    features: { deviceFlow: { enabled: true }, revocation: { enabled: true }, devInteractions: { enabled: true } },
    ttl: { IdToken: 3600, AccessToken: 3600, RefreshToken: 86400, Session: 3600, Grant: 86400, Interaction: 600, DeviceCode: 600 },
  });
  handler = provider.callback();
}

function say() {
  process.stdout.write(JSON.stringify({ issuer, key: keys[0].kid }) + '\n');
}

keys = [newKey()];
start();
server.on('request', (request, response) => handler(request, response));
say();
createInterface({ input: process.stdin }).on('line', (command) => {
  keys = command === 'add' ? [newKey(), ...keys] : [newKey()];
  start();
  say();
}).on('close', () => process.exit(0));
