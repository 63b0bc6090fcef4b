import type { Action } from '@bailiwick/credentials'
import { McpUpstream } from '@bailiwick/gateway/mcp-upstream'
import type { SidecarOptions } from './sidecar.ts'

/** The gateway's own mapping, of the server that the path names: what the agent signs is what the gateway decides. */
export const actionOf: SidecarOptions['actionOf'] = ({ target, ...request }): Action | undefined => {
  const [, name = ''] = /^\/mcp\/([^/?]+)$/.exec(target) ?? []
  const upstream = new McpUpstream(name, () => Promise.reject(new Error('nothing is sent from here')))
  const action = upstream.toAction({ target, ...request })
  return 'refused' in action ? undefined : action
}
