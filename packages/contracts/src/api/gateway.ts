import { z } from 'zod'
import { observeRoutes } from './observe.ts'
import type { Api, Routes } from './route.ts'

const serverNameSchema = z.object({ name: z.string() })

/** RFC 9728 §2 */
const resourceMetadataSchema = z.object({
  resource: z.string(),
  authorization_servers: z.array(z.string()),
  bearer_methods_supported: z.array(z.string()),
  dpop_bound_access_tokens_required: z.literal(true),
  dpop_signing_alg_values_supported: z.array(z.string()),
  authorization_details_types_supported: z.array(z.string()),
  resource_name: z.string(),
  /** The server's name in the registry: an agent names it in the action that it signs. Older gateways do not say it. */
  bailiwick_tool_server: z.string().optional(),
})

/** A request to an HTTP API: method, path below its name and answer are the API's own. An API may have a host of its own instead. */
const viaApi = <M extends 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'>(method: M) =>
  ({
    method,
    path: '/http/*',
    summary: 'A request to an HTTP API, by its name and the path below it',
    on: 'http',
    gives: '*/*',
  }) as const
const viaGit = <M extends 'GET' | 'POST'>(method: M, summary: string) =>
  ({ method, path: '/git/*', summary, on: 'http', gives: '*/*' }) as const
const viaSession = <M extends 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'>(method: M) =>
  ({
    method,
    path: '/session/*',
    summary: 'A request to a web application in which the gateway holds a session, by its name and the path below it',
    on: 'http',
    gives: '*/*',
  }) as const
const pathBelowSchema = z.object({ name: z.string(), '*': z.string() })

/** Envoy asks with the method and the path of the request that it asks about. */
const byEnvoy = <M extends 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'>(method: M) =>
  ({
    method,
    path: '/authorize/:name/*',
    summary: 'Envoy asks whether this request may pass (ext_authz over HTTP): 200, 401 or 403',
    on: 'http',
    params: pathBelowSchema,
    gives: '*/*',
  }) as const

/** MCP itself is described by its own specification: messages are JSON-RPC, and most answers come from the server behind the gateway. */
export const gatewayRoutes = {
  ...observeRoutes,
  sendMcpMessage: {
    method: 'POST',
    path: '/mcp/:name',
    summary: 'MCP over streamable HTTP: one JSON-RPC message to a server; JSON, or a stream of events',
    on: 'http',
    params: serverNameSchema,
    body: z.record(z.string(), z.unknown()),
    gives: '*/*',
  },
  openMcpStream: {
    method: 'GET',
    path: '/mcp/:name',
    summary: 'MCP over streamable HTTP: the stream of a server’s own messages',
    on: 'http',
    params: serverNameSchema,
    gives: '*/*',
  },
  endMcpSession: {
    method: 'DELETE',
    path: '/mcp/:name',
    summary: 'MCP over streamable HTTP: ends a session',
    on: 'http',
    params: serverNameSchema,
    gives: '*/*',
  },
  describeMcpServer: {
    method: 'GET',
    path: '/.well-known/oauth-protected-resource/mcp/:name',
    summary: 'Metadata of a server as a protected resource (RFC 9728)',
    on: 'http',
    params: serverNameSchema,
    answer: resourceMetadataSchema,
  },
  getFromApi: viaApi('GET'),
  postToApi: viaApi('POST'),
  putToApi: viaApi('PUT'),
  patchAtApi: viaApi('PATCH'),
  deleteAtApi: viaApi('DELETE'),
  optionsOfApi: viaApi('OPTIONS'),
  describeApi: {
    method: 'GET',
    path: '/.well-known/oauth-protected-resource/http/:name',
    summary: 'Metadata of an HTTP API as a protected resource (RFC 9728)',
    on: 'http',
    params: serverNameSchema,
    answer: resourceMetadataSchema,
  },
  readFromGit: viaGit('GET', 'Smart HTTP of git: what a repository has, before a fetch or a push'),
  sendToGit: viaGit('POST', 'Smart HTTP of git: a fetch, or a push of one ref'),
  describeGit: {
    method: 'GET',
    path: '/.well-known/oauth-protected-resource/git/:name',
    summary: 'Metadata of a git server as a protected resource (RFC 9728)',
    on: 'http',
    params: serverNameSchema,
    answer: resourceMetadataSchema,
  },
  connectToPostgres: {
    method: 'GET',
    path: '/postgres/:name',
    summary: 'With `Upgrade: postgresql`: a connection to a database, after its start-up (PostgreSQL’s protocol 3.0)',
    on: 'http',
    params: serverNameSchema,
    gives: '*/*',
  },
  describePostgres: {
    method: 'GET',
    path: '/.well-known/oauth-protected-resource/postgres/:name',
    summary: 'Metadata of a database as a protected resource (RFC 9728)',
    on: 'http',
    params: serverNameSchema,
    answer: resourceMetadataSchema,
  },
  getFromSession: viaSession('GET'),
  postToSession: viaSession('POST'),
  putToSession: viaSession('PUT'),
  patchInSession: viaSession('PATCH'),
  deleteInSession: viaSession('DELETE'),
  describeSession: {
    method: 'GET',
    path: '/.well-known/oauth-protected-resource/session/:name',
    summary: 'Metadata of a web application as a protected resource (RFC 9728)',
    on: 'http',
    params: serverNameSchema,
    answer: resourceMetadataSchema,
  },
  certifySshKey: {
    method: 'POST',
    path: '/ssh/:name/login',
    summary: 'A certificate of OpenSSH for one key, one account of one host, and one command',
    on: 'http',
    params: serverNameSchema,
    body: z.object({
      host: z.string(),
      account: z.string(),
      command: z.string(),
      key: z.string(),
      signature: z.string(),
    }),
    gives: 'text/plain',
  },
  showSshAuthority: {
    method: 'GET',
    path: '/ssh/:name/ca',
    summary: 'The public key that signs certificates, for TrustedUserCAKeys of sshd',
    on: 'http',
    params: serverNameSchema,
    gives: 'text/plain',
  },
  listRevokedSshKeys: {
    method: 'GET',
    path: '/ssh/:name/revoked',
    summary: 'Keys whose grant ended before their certificate, for RevokedKeys of sshd',
    on: 'http',
    params: serverNameSchema,
    gives: 'text/plain',
  },
  describeSsh: {
    method: 'GET',
    path: '/.well-known/oauth-protected-resource/ssh/:name',
    summary: 'Metadata of the hosts of an entry as a protected resource (RFC 9728)',
    on: 'http',
    params: serverNameSchema,
    answer: resourceMetadataSchema,
  },
  askForwardAuth: {
    method: 'GET',
    path: '/authorize/:name',
    summary: 'nginx, Caddy or Traefik asks whether a request may pass: 200, 401 or 403',
    on: 'http',
    params: serverNameSchema,
    gives: '*/*',
  },
  getByEnvoy: byEnvoy('GET'),
  postByEnvoy: byEnvoy('POST'),
  putByEnvoy: byEnvoy('PUT'),
  patchByEnvoy: byEnvoy('PATCH'),
  deleteByEnvoy: byEnvoy('DELETE'),
  optionsByEnvoy: byEnvoy('OPTIONS'),
  callModel: {
    method: 'POST',
    path: '/models/:name/*',
    summary:
      'The API of a provider of models, as far as it can be priced: /v1/chat/completions, /v1/responses, /v1/messages',
    on: 'http',
    params: pathBelowSchema,
    body: z.record(z.string(), z.unknown()),
    gives: '*/*',
  },
  listModels: {
    method: 'GET',
    path: '/models/:name/*',
    summary: 'The models of a provider: /v1/models',
    on: 'http',
    params: pathBelowSchema,
    gives: '*/*',
  },
} as const satisfies Routes

export const gatewayApi: Api = { title: 'Bailiwick gateway', routes: gatewayRoutes }
