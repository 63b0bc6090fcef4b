import type { Action } from '@bailiwick/credentials'
import { mcpAction } from '@bailiwick/mcp'
import type { SidecarOptions } from './sidecar.ts'

/** The gateway's own mapping, of the server that the path names: what the agent signs is what the gateway decides. */
export const actionOf: SidecarOptions['actionOf'] = ({ target, ...request }): Action | undefined => {
  const [, name = ''] = /^\/mcp\/([^/?]+)$/.exec(target) ?? []
  const action = mcpAction(name, request)
  return 'refused' in action ? undefined : action
}
