import { useState } from 'react'
import { api, serverNow } from '../api.ts'
import type { EventRow, Events, Me } from '../types.ts'
import { saveFile } from '../ui/save-file.ts'
import { useSay } from '../ui/say.tsx'
import { isCall } from './calls.ts'
import { callsQuery } from './data.ts'
import { jsonReport, markdownReport, type Reported } from './report.ts'
import type { Span } from './span.ts'

/** The most calls in a report. */
const mostCalls = 1000

export type Summary = Omit<Reported, 'made' | 'link' | 'calls' | 'isCut' | 'size'>

/** Buttons that hand over this view, as its address or a file. */
export function HandOver({ me, span, summary }: { me: Me; span: Span; summary: Summary | undefined }) {
  const say = useSay()
  const [busy, setBusy] = useState(false)
  const [shownLink, setShownLink] = useState<string>()
  const copy = async () => {
    const link = linkTo(span)
    try {
      await navigator.clipboard.writeText(link)
      say('Copied: the link opens this view, at these times.')
    } catch {
      setShownLink(link) // the browser does not let the page write to the clipboard
    }
  }
  const save = async (form: 'md' | 'json') => {
    if (summary === undefined) return
    setBusy(true)
    try {
      const reported = await gathered(me, span, summary)
      const text = form === 'md' ? markdownReport(reported) : jsonReport(reported)
      saveFile(
        `${fileName(summary.agent.id, reported.made.at)}.${form}`,
        text,
        form === 'md' ? 'text/markdown' : 'application/json',
      )
      say(`Saved: what it touched, with ${reported.calls.length} ${reported.calls.length === 1 ? 'call' : 'calls'}.`)
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), 'failed')
    } finally {
      setBusy(false)
    }
  }
  return (
    <div className="hand-over">
      <button type="button" onClick={copy}>
        Copy link
      </button>
      <button type="button" disabled={busy || summary === undefined} onClick={() => save('md')}>
        Save report
      </button>
      <button type="button" disabled={busy || summary === undefined} onClick={() => save('json')}>
        Save as JSON
      </button>
      {shownLink === undefined ? null : (
        <label className="field">
          <span>The link to this view</span>
          <input readOnly value={shownLink} onFocus={({ currentTarget }) => currentTarget.select()} />
        </label>
      )}
    </div>
  )
}

/** The address of this view with its times, so that it shows the same later. */
function linkTo(span: Span): string {
  const { from, to } = span.times()
  const parameters = new URLSearchParams(location.search)
  parameters.delete('span')
  parameters.set('from', from)
  parameters.set('to', to)
  return `${location.origin}${location.pathname}?${parameters}`
}

async function gathered(me: Me, span: Span, summary: Summary): Promise<Reported> {
  const { id } = summary.agent
  const fixed: Span = { ...span, times: () => ({ from: summary.touched.from, to: summary.touched.to }) }
  const calls: EventRow[] = []
  let next: string | undefined = ''
  let size = 0
  while (next !== undefined && calls.length < mostCalls) {
    const page: Events = await api<Events>(callsQuery(id, { type: 'decision' }, fixed, next, 200))
    calls.push(...page.events.filter(isCall))
    next = page.next
    size = Math.max(size, page.size)
  }
  const made = { at: new Date(serverNow()).toISOString(), by: me.me.name, installation: me.installation }
  return { ...summary, made, link: linkTo(fixed), calls, isCut: next !== undefined, size }
}

const fileName = (agent: string, at: string): string =>
  `bailiwick-${agent
    .split('/')
    .slice(-1)
    .join('')
    .replace(/[^\w-]/g, '_')
    .slice(0, 60)}-${at.slice(0, 16).replace(/\D/g, '')}`
