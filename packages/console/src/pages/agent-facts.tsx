import type { Agent } from '../types.ts'
import { attestorWords, Facts, notEnrolled } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'

/** Who answers for an agent, and how it proves its identity. */
export function AgentFacts({ agent }: { agent: Agent }) {
  const { owner, owner_name, attestor, instances, proactive_requests, labels } = agent
  return (
    <Facts
      rows={[
        ['Owner', <Visible key="o" text={owner_name ?? notEnrolled(owner)} />],
        ['Proves itself by', attestorWords[attestor] ?? attestor],
        ['Instances', instances ? <Visible key="i" text={instances.join(', ')} /> : 'any that is attested'],
        ['May ask first', proactive_requests ? 'yes' : 'no: only to answer a denial'],
        labels.length > 0 && ['Labels', <Visible key="l" text={labels.join(', ')} />],
      ]}
    />
  )
}
