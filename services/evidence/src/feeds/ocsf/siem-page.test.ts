import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type OcsfEvent, topicNamed } from '@bailiwick/contracts'
import { examplesOf } from '@bailiwick/contracts/examples'
import { sinkSettings } from '@bailiwick/host'
import { expect, it } from 'vitest'
import { leaves, tellExample, whole } from './ocsf.fixture.ts'
import type { Received, Story } from './story.ts'

const page = readFileSync(join(import.meta.dirname, '../../../../../docs/audit/siem.md'), 'utf8')

/** The mapping of an answer depends on the request that it answers. */
const stories: Story[] = [
  {},
  ...Object.values(examplesOf(topicNamed('approvals.v1') ?? expect.fail('no topic'), 'request.received')).map(
    (request) => ({ request: request as Received }),
  ),
]

const cells = ({ class_name, class_uid, activity_name, activity_id, type_name, severity, status }: OcsfEvent) => [
  `${class_name} ${class_uid}`,
  // The name of an action is the agent's choice.
  activity_id === 99 && class_uid !== 6003 ? `99 ${activity_name}` : `${activity_id} ${type_name.split(': ')[1]}`,
  severity,
  status ?? '–',
]

it('lists every event that is a leaf, with the OCSF classes and activities that it becomes', () => {
  const rows = new Map<string, string>()
  for (const { topic, type, event } of leaves) {
    const name = topic.endsWith('.parked') ? '*.parked' : topic
    for (const story of type.startsWith('request.') ? stories : [{}]) {
      const line = `| ${[`\`${type}\``, name, ...cells(tellExample(topic, event, story))].join(' | ')} |`
      rows.set(line, line)
    }
  }
  const table = [
    '| event | topic | class | activity | severity | status |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows.values(),
  ].join('\n')
  expect(page.slice(page.indexOf('| event | topic |')).trim()).toBe(table)
})

it('names every setting and every metric that there is', () => {
  for (const name of Object.keys(sinkSettings)) expect(page).toContain(`| \`${name}\` |`)
  for (const name of ['lag_leaves', 'delivered_total', 'dropped_total', 'failures_total'])
    expect(page).toContain(`bailiwick_evidence_feed_${name}`)
})

it('searches for fields that decisions have', () => {
  const told = leaves
    .filter(({ topic }) => topic === 'decisions.v1')
    .map(({ topic, event }) => tellExample(topic, event, { ...whole }))
  const known = new Set(told.flatMap((event) => fieldsOf(event)))
  const [splunk = '', elastic = ''] = [...page.matchAll(/```(?:spl|esql)\n(.*?)```/gs)].map(([, text]) => text ?? '')
  const named = (text: string) =>
    [...text.matchAll(/\b((?:bailiwick|ai_agent|api|resources)[{}]*\.[a-z_.{}]+)/g)].map(
      ([, field]) => field?.replaceAll('{}', '') ?? '',
    )
  expect(named(splunk).length).toBeGreaterThan(10)
  expect(new Set(named(splunk))).toEqual(new Set(named(elastic)))
  for (const field of named(splunk)) expect([field, known.has(field)]).toEqual([field, true])
})

/** Every path in an event. The members of an array have the array's path. */
function fieldsOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return [path, ...value.flatMap((inner) => fieldsOf(inner, path))]
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([name, inner]) => fieldsOf(inner, path === '' ? name : `${path}.${name}`))
}
