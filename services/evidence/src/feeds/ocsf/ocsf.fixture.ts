import { type OcsfEvent, type TopicName, topics } from '@bailiwick/contracts'
import { exampleEvent, examplesOf } from '@bailiwick/contracts/examples'
import { sha256 } from '@bailiwick/credentials'
import { ocsfEvent } from './ocsf-event.ts'
import type { Story } from './story.ts'
import type { LeafEvent } from './told.ts'

export const log = {
  installation: 'ins_EXAMPLE0001',
  origin: 'bailiwick.example/log',
  vkey: 'bailiwick.example/log+0123+AQ',
}
export const checkpoint = { size: 4712, root: Buffer.alloc(32, 7), note: 'bailiwick.example/log\n4712\n…\n' }

export const tellExample = (topic: string, event: unknown, story: Story = {}, isVoid = false): OcsfEvent =>
  ocsfEvent(
    { index: 4711, hash: sha256(JSON.stringify(event)), topic: topic as TopicName, event: event as LeafEvent, isVoid },
    story,
    log,
    checkpoint,
  )

export const agent = 'spiffe://example.org/agent/reconciler/one'
export const grant = {
  grantId: 'grt_00000000000000000000',
  requestId: 'req_00000000000000000000',
  agent,
  task: 'reconcile-q3',
  mode: 'window',
  rule: 'finance-tools',
  authority: { permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices.read' } }] },
  notBefore: '2026-07-01T09:00:00.000Z',
  notAfter: '2026-07-01T10:00:00.000Z',
  approvers: ['fiona', 'frank'],
}
export const decision = exampleEvent('decisions.v1', 'decision.allowed').data as NonNullable<Story['decision']>
/** A story with everything that can lead up to a leaf. */
export const whole: Story = {
  grant,
  decision,
  yes: { requestId: 'req_00000000000000000001', approvers: ['anna'] },
  lineage: [
    { agent, grant_id: grant.grantId },
    { agent: 'spiffe://example.org/agent/reader/one', delegation_id: 'dlg_00000000000000000000' },
  ],
  agentName: 'Reconciler',
  owner: 'olga',
}

/** Every example of every event that becomes a leaf. */
export const leaves = topics
  .filter(({ leaf }) => leaf)
  .flatMap((topic) =>
    Object.keys(topic.events).flatMap((type) =>
      Object.entries(examplesOf(topic, type)).map(([desc, data]) => ({
        topic: topic.name,
        type,
        desc,
        event: exampleEvent(topic.name, type, data),
      })),
    ),
  )
