import type { EventRow, Grant, ReadAgentAnswer, RequestRow, Touched } from '../types.ts'
import { argumentsText, deniedIn, reasonsIn, resultOf } from './calls.ts'
import { type Since, sinceText } from './since.ts'
import { costText, outcomesText, sentencesOf, shownThings } from './summary.ts'

/** The content of a report about one agent. */
export interface Reported {
  /** When it was made, and by whom, as the server has them. */
  made: { at: string; by: string; installation: string }
  /** The address of the same view. */
  link: string
  agent: ReadAgentAnswer
  touched: Touched
  /** Decisions, newest first. */
  calls: readonly EventRow[]
  /** Whether there are older decisions. */
  isCut: boolean
  /** Decisions since the stop. Null: evidence does not answer. Absent: the agent was not stopped, or people approved something since. */
  since?: Since | null | undefined
  grants: readonly Grant[]
  /** Whether there are more of them. */
  grantsCut: boolean
  answers: readonly RequestRow[]
  answersCut: boolean
  /** How many entries the log had. */
  size: number
}

/** Untrusted text in a line of Markdown: nothing in it is markup, ends a cell, or is invisible. */
export function code(text: string): string {
  const seen = text.replace(
    /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu,
    (sign) => `[U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
  )
  return seen === '' ? '(empty)' : `\`${seen.replaceAll('`', '[U+0060]').replaceAll('|', '[U+007C]')}\``
}

const cell = (text: string) => (text === '' ? '–' : text)

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}

/** The report as text that people read, in Markdown. */
export function markdownReport(reported: Reported): string {
  const { made, link, agent, touched, calls, isCut, since, grants, grantsCut, answers, answersCut, size } = reported
  const name = agent.agent?.name ?? 'An agent that is not registered'
  const { stop } = agent
  const shown = shownThings(touched)
  return [
    `# What ${code(name)} touched`,
    '',
    `From ${touched.from} to ${touched.to}. Made ${made.at} by ${code(made.by)} at ${code(made.installation)}.`,
    '',
    ...table(
      ['', ''],
      [
        ['Agent', code(agent.id)],
        ['Owner', agent.agent === null ? '' : code(agent.agent.owner_name ?? agent.agent.owner)],
        ['Stopped', stop === null ? 'no' : `${stop.at} by ${code(stop.by)} (revocation ${stop.sequence})`],
        ['Since the stop', since === undefined ? '' : sinceText(since)],
        ['The same view', code(link)],
      ],
    ),
    '',
    '## Summary',
    '',
    ...sentencesOf(touched).map((sentence) => `- ${sentence}`),
    '',
    '## Tools and resources',
    '',
    ...(shown.length === 0
      ? [touched.complete ? 'None.' : notAllRead]
      : table(
          ['What', 'Through', 'Allowed', 'Ended', 'Denied', 'Spent', 'Last'],
          shown.map((thing) => [
            thing.resource === undefined
              ? 'denials that were summed up'
              : `${code(thing.action ?? '')} on ${code(`${thing.type ?? ''} ${thing.resource}`)}${thing.mapped ? ' (mapped)' : ''}`,
            thing.through === undefined ? '' : code(thing.through),
            String(thing.allowed),
            outcomesText(thing.outcomes),
            deniedIn(thing) === 0
              ? '0'
              : `${deniedIn(thing)} (${reasonsIn(thing)
                  .map(([reason, count]) => `${code(reason)} ${count}×`)
                  .join(', ')})`,
            costText(thing.cost),
            thing.last,
          ]),
        )),
    ...(touched.more_things > 0 ? ['', `And ${touched.more_things} more.`] : []),
    ...(deniedIn(touched) > 0 ? ['', '## Denials by reason', '', ...reasonLines(touched)] : []),
    '',
    `## Grants${newest(grants, grantsCut)}`,
    '',
    ...(grants.length === 0
      ? ['There are no records.']
      : table(
          ['Grant', 'Task', 'State', 'Approved by', 'From', 'Until', 'Calls', 'Spent'],
          grants.map((grant) => [
            code(grant.id),
            code(grant.task),
            grant.state,
            grant.approved_by.map(code).join(', '),
            grant.created_at,
            grant.not_after,
            `${grant.taken.calls}${grant.budget.calls === undefined ? '' : ` of ${grant.budget.calls}`}`,
            costText(grant.taken.cost),
          ]),
        )),
    '',
    `## Past answers${newest(answers, answersCut)}`,
    '',
    ...(answers.length === 0
      ? ['There are no records.']
      : table(
          ['Request', 'What', 'Answer', 'By', 'When'],
          answers.map((row) => [
            code(row.id),
            code(row.subject),
            row.state,
            (row.signed_by.length > 0 ? row.signed_by : [row.closed_by ?? '']).filter(Boolean).map(code).join(', '),
            row.changed_at,
          ]),
        )),
    '',
    `## Calls, newest first${newest(calls, isCut)}`,
    '',
    ...(calls.length === 0
      ? [isCut ? notAllRead : 'None.']
      : table(
          ['Time', 'Agent', 'What', 'Arguments', 'Result', 'Entry of the log', 'Decision'],
          calls.map((call) => [
            call.time,
            code(call.agent ?? ''),
            `${code(call.action ?? '')} on ${code(call.resource ?? '')}`,
            call.arguments === undefined ? '' : code(argumentsText(call.arguments)),
            resultOf(call)[0] + (call.reason === undefined ? '' : ` (${call.reason})`),
            String(call.leaf_index),
            code(call.decision_id ?? call.event_id),
          ]),
        )),
    '',
    '## How to check it',
    '',
    `This file is not signed. Each call names its entry in the log, which had ${size} entries.`,
    'With the log’s files and its `trust.json`: `bailiwick verify` checks the whole log, `bailiwick trace <decision>` tells the story of one call and verifies each step, `bailiwick prove <decision>` makes a bundle that an outsider can verify.',
    'Evidence keeps its numbers for whole hours.',
    '',
  ].join('\n')
}

const newest = (items: readonly unknown[], isCut: boolean): string => (isCut ? ` (the newest ${items.length})` : '')

const notAllRead = 'Not known: not all was read.'

const reasonLines = (touched: Touched): string[] =>
  table(
    ['Reason', 'Times'],
    reasonsIn(touched).map(([reason, count]) => [code(reason), String(count)]),
  )

/** The same as data. */
export const jsonReport = (reported: Reported): string =>
  `${JSON.stringify({ v: 1, kind: 'bailiwick-agent-report', ...reported }, null, 2)}\n`
