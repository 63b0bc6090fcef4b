/** What people are told of. All but `request_waiting` and `digest` is news: nothing waits for an answer. */
export type NoticeKind =
  | 'request_waiting'
  | 'request_answered'
  | 'request_expired'
  | 'stopped'
  | 'recovery_announced'
  | 'recovery_used'
  | 'approver_enrolled_alone'
  | 'digest'

/**
 * One thing to tell people. It is made of canonical fields, in our words: no prose of an agent, no salt, no token. Whoever
 * intercepts it learns what was asked and can do nothing with it: its link leads to the console, which wants the passkey.
 */
export interface Notice {
  /** Of the delivery: derived from what happened, so that whoever gets it twice knows that it is the same. */
  id: string
  kind: NoticeKind
  /** ms since the epoch. */
  at: number
  /** Names of approvers in the registry, sorted. */
  to: readonly string[]
  /** One line. */
  subject: string
  lines: readonly string[]
  /** A page of the console. */
  url: string
  requestId?: string
  /** The instance that asked. */
  agent?: string
}

const longestLine = 300
const mostLines = 20

/**
 * Text for a mailbox or a chat. What is invisible or reorders is spelled out, and nobody's `://` becomes a link: names and
 * resources are what agents ask for, and the only link that a notice has is ours.
 */
export function plainLine(text: string): string {
  const spelled = text
    .replace(
      /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu,
      (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
    )
    .replaceAll('://', ': //')
  const characters = [...spelled]
  return characters.length > longestLine ? `${characters.slice(0, longestLine).join('')}…` : spelled
}

/** Lines for a notice: plain, and not more than a glance; says where there would be more. */
export function plainLines(lines: readonly string[]): string[] {
  const shown = lines.slice(0, mostLines).map(plainLine)
  return lines.length > mostLines ? [...shown, `… and ${lines.length - mostLines} more lines, in the console`] : shown
}
