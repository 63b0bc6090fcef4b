import { ServiceError } from '@bailiwick/errors'
import { type McpRequest, mcpAction } from '@bailiwick/mcp'
import type { Agent } from './agent.ts'
import type { GrantName } from './credentials.ts'
import { toolServerAt } from './tool-server.ts'

/**
 * A `fetch` with which an MCP client acts as the agent under this grant, at one server of the gateway (`…/mcp/<name>`): for transports that
 * take a `fetch`, as those of the MCP SDK, the AI SDK and Mastra do. Each request gets the credential and a proof of the key. For a request
 * that the gateway decides, the agent also signs the action, read from the same bytes by the gateway's own mapping, and with the server's name
 * in the registry, for which it asks the gateway. An OAuth provider could not do that: it never sees what is called.
 *
 * The credential goes to this server and to nothing else: any other address rejects with `token_audience_wrong`.
 */
export function mcpFetch(agent: Agent, grant: GrantName, server: string | URL): typeof fetch {
  const address = new URL(server)
  const { origin, pathname } = address
  if (!/\/mcp\/[^/]+$/.test(pathname))
    throw new ServiceError('config_invalid', `no address of a server at the gateway: ${pathname}`)
  const registered = toolServerAt(address)

  /** A list, for example, is no action: its proof is for the address alone. */
  async function signed(request: McpRequest): Promise<object> {
    if ('refused' in mcpAction('', request)) return {}
    const found = mcpAction(await registered.name(), request)
    return 'refused' in found ? {} : { action: found.name, resource: found.resource, properties: found.properties }
  }

  return async (input, init) => {
    const request = new Request(input, init)
    const url = new URL(request.url)
    if (url.origin !== origin || url.pathname !== pathname)
      throw new ServiceError('token_audience_wrong', 'the credential is for one server')
    const { method, headers, signal } = request
    const body = new Uint8Array(await request.arrayBuffer())
    const call = { grant, ...(await signed({ method, headers: [...headers].flat(), body })) }
    const sent = body.length === 0 ? {} : { body }
    const response = await agent.fetch(url, { method, headers, signal, ...sent }, call)
    if (response.headers.get('bailiwick-denied') === 'proof_action_mismatch') registered.forget()
    return response
  }
}
