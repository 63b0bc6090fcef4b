export const agentPage = (id: string): string => `/console/agents/${encodeURIComponent(id)}`
