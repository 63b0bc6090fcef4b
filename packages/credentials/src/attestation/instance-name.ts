import { spiffeIdSchema } from '@bailiwick/contracts'

/** `<agent id>/<instance>`; undefined for an invalid name, so that no name can reach into another agent. */
export function instanceOf(agentId: string, name: unknown): string | undefined {
  if (typeof name !== 'string' || !/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/.test(name)) return undefined
  const id = `${agentId}/${name}`
  return spiffeIdSchema.safeParse(id).success ? id : undefined
}

/** The instance's name within its id, if the instance belongs to this agent. */
export function nameIn(agentId: string, id: string): string | undefined {
  return id.startsWith(`${agentId}/`) ? id.slice(agentId.length + 1) : undefined
}
