import { createAgent } from '@bailiwick/agent'
import type { Host } from '@bailiwick/host/process'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from './sample.ts'

/** A sample agent of this installation, made with its SDK. `fetch`: its requests go another way. */
export function sampleAgent(
  host: Pick<Host, 'data' | 'trust' | 'clock' | 'random'>,
  name: (typeof sample.agents)[number],
  way: { fetch?: typeof fetch } = {},
) {
  const { data, trust, clock, random } = host
  return createAgent({
    agentId: sampleAgentId(name),
    instance: sample.instance,
    key: sampleKey(data, name),
    installation: trust.installation,
    baseUrl: trust.public_url,
    now: () => clock.now(),
    random,
    ...way,
  })
}

/** Does what an agent would do: asks for the sample task on the topic, so that a newcomer finds something to answer. */
export async function publishSampleRequest(host: Host): Promise<void> {
  const agent = sampleAgent(host, 'reconciler')
  const signed = agent.signRequest({
    authority: sampleAuthority,
    mode: 'window',
    expiresInSeconds: 3600,
    purpose: 'Reconcile the invoices of the third quarter and post small corrections.',
  })
  await host.bus.publish('access-requests.v1', [agent.accessRequestEvent(signed)])
}
