/** An instance's agent: `<agent id>/<instance>`. */
export function agentIdOf(instance: string): string {
  return instance.slice(0, instance.lastIndexOf('/'))
}
