import { ServiceError } from '@bailiwick/errors'
import { mcpAction } from '@bailiwick/mcp'
import type { Agent } from './agent.ts'
import type { GrantName } from './credentials.ts'

/**
 * A `fetch` with which an MCP client acts as the agent under this grant, at one server of the gateway (`…/mcp/<name>`): for transports that
 * take a `fetch`, as those of the MCP SDK, the AI SDK and Mastra do. Each request gets the credential and a proof of the key. For a request
 * that the gateway decides, the agent also signs the action, read from the same bytes by the gateway's own mapping. An OAuth provider could
 * not do that: it never sees what is called.
 *
 * The credential goes to this server and to nothing else: any other address rejects with `token_audience_wrong`.
 */
export function mcpFetch(agent: Agent, grant: GrantName, server: string | URL): typeof fetch {
  const { origin, pathname } = new URL(server)
  const name = /\/mcp\/([^/]+)$/.exec(pathname)?.[1]
  if (name === undefined) throw new ServiceError('config_invalid', `no address of a server at the gateway: ${pathname}`)
  return async (input, init) => {
    const request = new Request(input, init)
    const url = new URL(request.url)
    if (url.origin !== origin || url.pathname !== pathname)
      throw new ServiceError('token_audience_wrong', 'the credential is for one server')
    const { method, headers, signal } = request
    const body = new Uint8Array(await request.arrayBuffer())
    const found = mcpAction(name, { method, headers: [...headers].flat(), body })
    // A list, for example, is no action: its proof is for the address alone.
    const signed =
      'refused' in found ? {} : { action: found.name, resource: found.resource, properties: found.properties }
    const sent = body.length === 0 ? {} : { body }
    return await agent.fetch(url, { method, headers, signal, ...sent }, { grant, ...signed })
  }
}
