import type { NotificationFormat } from '@bailiwick/host'
import type { Notice } from './notice.ts'

/** The body of a delivery, as in docs/how-to/notifications.md. The same notice has the same bytes at each attempt. */
export function bodyOf(notice: Notice, format: NotificationFormat, installation: string): string {
  return JSON.stringify(format === 'slack' ? slackBody(notice) : jsonBody(notice, installation))
}

/** For mail gateways, and other recipients that word it themselves. */
function jsonBody({ id, kind, at, to, subject, lines, url, requestId, agent }: Notice, installation: string) {
  return {
    v: 1,
    id,
    kind,
    at: new Date(at).toISOString(),
    installation,
    to,
    subject,
    text: [...lines, url].join('\n'),
    url,
    ...(requestId === undefined ? {} : { request_id: requestId }),
    ...(agent === undefined ? {} : { agent }),
  }
}

/** A Slack incoming webhook. Foreign text goes into `plain_text`, where Slack reads no markup; `text` is its fallback. */
function slackBody({ subject, lines, to, url }: Notice) {
  const plain = (text: string) => ({ type: 'plain_text', text, emoji: false })
  return {
    text: escaped(`${subject}: ${lines.join('; ')}`.slice(0, 3000)),
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      { type: 'header', text: plain(subject.slice(0, 150)) },
      { type: 'section', text: plain(lines.join('\n').slice(0, 3000) || '–') },
      { type: 'context', elements: [plain(`For ${to.join(', ') || 'no approver'}`.slice(0, 2000))] },
      { type: 'actions', elements: [{ type: 'button', text: plain('Open the console'), url }] },
    ],
  }
}

/** Slack's control characters, escaped by its own rule. Without them `<https://…|words>` is plain text. */
const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
