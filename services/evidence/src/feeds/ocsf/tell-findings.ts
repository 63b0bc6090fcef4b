import type { Story } from './story.ts'
import { aiAgent } from './tell-approvals.ts'
import type { LeafEvent, Severity, Told } from './told.ts'

export type FindingEvent = Extract<
  LeafEvent,
  {
    type:
      | 'gap.detected'
      | 'outcome.unrelayed'
      | 'outcome.skipped'
      | 'outcome.contradicted'
      | 'outcome.refused'
      | 'outcome.missing'
      | 'engines.differed'
      | 'event.refused'
      | 'event.parked'
      | 'policy-files.changed'
      | 'leaves.dropped'
      | 'value.erased'
  }
>

/** The compiler requires a row for every new type of finding. */
const findings: Record<FindingEvent['type'], [title: string, desc: string, severity: Severity]> = {
  'gap.detected': [
    'Events of a producer are missing',
    'Its signed head, or its next event, names some that are not in the log a minute after all was read: lost, held back, or replaced.',
    5,
  ],
  'outcome.missing': [
    'An action was allowed, but its outcome was never reported',
    'The enforcement point did not report in time. The budget stays spent.',
    4,
  ],
  'outcome.unrelayed': [
    'A decision point did not pass on an outcome',
    'An enforcement point told evidence too, and the decision point did not relay it within a minute.',
    4,
  ],
  'outcome.skipped': [
    'Outcomes of an enforcement point are missing',
    'An instance numbers its outcomes without gaps. The log lacks some, or has others than the next one names.',
    4,
  ],
  'outcome.contradicted': [
    'An enforcement point contradicts itself',
    'It signed a second outcome of one decision, or under one number. The first that was relayed counts.',
    4,
  ],
  'outcome.refused': [
    'An outcome that the decision point did not take',
    'Its enforcement point signed another one of this decision, or under this number. It changes nothing.',
    4,
  ],
  'engines.differed': [
    'Compiled policies differ from Cedar',
    'A decision point compared an answer that it had given with Cedar’s. It decides by Cedar alone from then on. See what this set allowed.',
    5,
  ],
  'event.refused': [
    'An event that cannot count',
    'Its signer may not write it, or it changes the registry without authority: it is forged, or a key was stolen.',
    4,
  ],
  'event.parked': ['An unreadable message', 'It stands on its own topic; the log has its place and hash.', 3],
  'policy-files.changed': [
    'The files of the active policies were edited',
    'They are not what people approved. What decides is what was loaded, or nothing.',
    4,
  ],
  'leaves.dropped': [
    'A sink will never get part of the log',
    'The sink was too far behind, or its receiver refused these leaves for good. The log and evidence.v1 have all of it.',
    3,
  ],
  'value.erased': [
    'A value was erased',
    'Events hold its salted hash, which stays, and so does every proof. The words are gone.',
    2,
  ],
}

export const isFinding = (event: LeafEvent): event is FindingEvent => Object.hasOwn(findings, event.type)

export function tellFinding(event: FindingEvent, story: Story): Told<'detection_finding'> {
  const [title, desc, severity] = findings[event.type]
  const { decision } = story
  const agent = decision?.actor?.sub_agent ?? decision?.actor?.agent ?? story.grant?.agent
  const { grant_id, decision_id } = { grant_id: undefined, decision_id: undefined, ...event.data }
  return {
    class: 'detection_finding',
    activity: 1,
    severity,
    status: { id: 1, caption: 'New' },
    message: `${title}: ${event.subject}`,
    body: {
      finding_info: { uid: event.id, title, types: [event.type], created_time: Date.parse(event.time), desc },
      evidences: [
        { data: { ...event.data }, ...(agent === undefined ? {} : { ai_agent: aiAgent(agent, story.agentName) }) },
      ],
      is_alert: true,
    },
    says: {
      details: { ...event.data },
      ...(agent === undefined ? {} : { agent }),
      ...(grant_id === undefined ? {} : { grant_id }),
      ...(decision_id === undefined ? {} : { decision_id }),
      ...(event.type === 'outcome.missing' ? { outcome: 'missing' } : {}),
    },
  }
}
