import type { AnswerOf, gatewayRoutes } from '@bailiwick/contracts/api'
import { agentAlgorithms } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { HttpReply, HttpServer } from '@bailiwick/host'

/** RFC 9728 §3.1: the path of the resource follows. */
export const metadataPath = '/.well-known/oauth-protected-resource'

/** Where a resource describes itself. */
export function metadataUrlOf(resource: string): string {
  const { origin, pathname } = new URL(resource)
  return `${origin}${metadataPath}${pathname === '/' ? '' : pathname}`
}

/** A resource as its metadata describes it, without its name. */
export interface Described {
  readonly address: string
  /** The tool server that it is in the registry; undefined if it is none. */
  readonly toolServer: string | undefined
}

/**
 * Serves the metadata of each resource of one kind, from which a client finds the issuer by itself (RFC 9728). `path` is the route, with
 * `:name` in it.
 */
export function describeResources(
  http: HttpServer,
  path: string,
  issuer: string,
  find: (name: string) => Described | undefined,
): void {
  http.get(path, async (request, reply) => {
    const { name } = request.params as { name: string }
    const found = find(name)
    if (found === undefined) throw new ServiceError('route_unknown')
    return sendMetadata(reply, { name, address: found.address, toolServer: found.toolServer }, issuer)
  })
}

/** The metadata of one resource. */
export function sendMetadata(
  reply: HttpReply,
  { name, address, toolServer }: Described & { readonly name: string },
  issuer: string,
): HttpReply {
  const metadata: AnswerOf<(typeof gatewayRoutes)['describeApi']> = {
    resource: address,
    authorization_servers: [issuer],
    bearer_methods_supported: ['header'],
    dpop_bound_access_tokens_required: true,
    dpop_signing_alg_values_supported: [...agentAlgorithms],
    authorization_details_types_supported: ['bailiwick_task'],
    resource_name: name,
    bailiwick_tool_server: toolServer,
  }
  return reply.type('application/json').header('cache-control', 'public, max-age=300').send(metadata)
}
