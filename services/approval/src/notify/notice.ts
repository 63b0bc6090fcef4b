/** The kinds of notices. All except `request_waiting` and `digest` are news: they need no answer. */
export type NoticeKind =
  | 'request_waiting'
  | 'request_answered'
  | 'request_expired'
  | 'stopped'
  | 'recovery_announced'
  | 'recovery_used'
  | 'approver_enrolled_alone'
  | 'emergency_opened'
  | 'emergency_granted'
  | 'emergency_over'
  | 'emergency_rule_changed'
  | 'digest'

/**
 * One thing to tell people. It consists of canonical fields in our words, without an agent's prose, a salt or a token. An
 * interceptor learns what was asked and can do nothing with it: its link leads to the console, which requires the passkey.
 */
export interface Notice {
  /** Identifies the delivery. It is derived from what happened, so that a recipient recognises a repetition. */
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
 * Text for a mailbox or a chat. Invisible and reordering characters are spelled out, and no foreign `://` becomes a link: agents choose
 * names and resources, and the only link in a notice is ours.
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

/** Lines for a notice: plain, and no more than a glance. Says how many more there are. */
export function plainLines(lines: readonly string[]): string[] {
  const shown = lines.slice(0, mostLines).map(plainLine)
  return lines.length > mostLines ? [...shown, `… and ${lines.length - mostLines} more lines, in the console`] : shown
}
