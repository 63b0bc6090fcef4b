/** The address of an agent's page. */
export const agentPage = (id: string): string => `/console/agents/${encodeURIComponent(id)}`
