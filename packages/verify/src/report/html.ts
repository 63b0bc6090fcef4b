import { printable } from '@bailiwick/kit'
import { type FoldedEvents, hourMs } from './fold-events.ts'
import type { Measure } from './measures.ts'
import type { Spent } from './spending.ts'

export interface ReportHead {
  installation: string
  origin: string
  size: number
  root: string
  from: string
  to: string
  singleOperator: boolean
  /** A program approved instead of a person (`bailiwick dev`). */
  softwareApprover: boolean
}

/** Text from others: nothing in it is markup, is active, or is invisible. */
const text = (value: string) => printable(value).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)

/** The report as one file that loads and runs nothing. */
export function htmlReport(head: ReportHead, measures: readonly Measure[], events: FoldedEvents): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Bailiwick report, ${text(head.from)} to ${text(head.to)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>How agents were governed</h1>
<p>${text(head.installation)}, from <time>${text(head.from)}</time> to <time>${text(head.to)}</time></p>
${head.softwareApprover ? '<p class="warn"><strong>Software approver.</strong> A program approved here, and no person. This proves nothing about people.</p>' : ''}
${head.singleOperator ? '<p class="warn"><strong>Single operator.</strong> One person’s passkey was enough for everything here.</p>' : ''}
<p class="hint">Every number is counted from the log itself: all ${head.size.toLocaleString('en-US')} entries of ${text(head.origin)} were verified first, up to the root <code>${text(head.root)}</code>. Items are those of docs/audit/controls.md.</p>
<table>
<caption>Numbers, and the items that each serves</caption>
<thead><tr><th scope="col">What</th><th scope="col">Number</th><th scope="col">Serves</th></tr></thead>
<tbody>
${measures.map(rowOf).join('\n')}
</tbody>
</table>
<h2>Decisions</h2>
${decisionsChart(events)}
<h2>Denials by reason</h2>
${denialsChart(events.denials)}
<h2>Money spent</h2>
${spentTable(events.spent)}
</main>
</body>
</html>`
}

function rowOf({ name, value, note, ok, serves }: Measure): string {
  const state = ok === undefined ? '' : ok ? ' class="good"' : ' class="bad"'
  const verdict = ok === undefined ? '' : `<span class="verdict">${ok ? 'in order' : 'NOT in order'}</span>`
  return `<tr${state}><th scope="row">${text(name)}<small>${text(note ?? '')}</small></th><td>${text(value)}${verdict}</td><td>${serves.map(text).join(', ')}</td></tr>`
}

const width = 960
const height = 200
const mostBars = 240

/** Stacked bars of allowed and denied decisions, by the hour, or by as many hours as make a bar wide enough to see. */
function decisionsChart({ from, to, hours }: FoldedEvents): string {
  if (hours.size === 0) return '<p class="hint">No agent asked to act in this time.</p>'
  const first = Math.floor(from / hourMs)
  const all = Math.floor(to / hourMs) - first + 1
  const perBar = Math.max(1, Math.ceil(all / mostBars))
  const bars = Array.from({ length: Math.ceil(all / perBar) }, () => ({ allowed: 0, denied: 0 }))
  for (const [hour, counts] of hours) {
    const bar = bars[Math.floor((hour - first) / perBar)]
    if (bar === undefined) continue
    bar.allowed += counts.allowed
    bar.denied += counts.denied
  }
  const most = bars.reduce((top, { allowed, denied }) => Math.max(top, allowed + denied), 1)
  const step = width / bars.length
  const high = (n: number) => (n / most) * (height - 20)
  const rect = (at: number, below: number, n: number, name: string) =>
    n === 0
      ? ''
      : `<rect class="${name}" x="${(at * step).toFixed(1)}" y="${(height - high(below) - high(n)).toFixed(1)}" width="${Math.max(1, step * 0.85).toFixed(1)}" height="${high(n).toFixed(1)}"/>`
  const shapes = bars.map(
    ({ allowed, denied }, at) => rect(at, 0, denied, 'denied') + rect(at, denied, allowed, 'allowed'),
  )
  const sum = (of: 'allowed' | 'denied') => bars.reduce((total, bar) => total + bar[of], 0).toLocaleString('en-US')
  const says = `${sum('allowed')} allowed, ${sum('denied')} denied; at most ${most.toLocaleString('en-US')} in ${perBar === 1 ? 'an hour' : `${perBar} hours`}`
  return `<figure><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${says}"><line x1="0" y1="${height}" x2="${width}" y2="${height}"/>${shapes.join('')}</svg><figcaption><span class="key allowed"></span>allowed <span class="key denied"></span>denied: ${says}</figcaption></figure>`
}

function denialsChart(denials: ReadonlyMap<string, number>): string {
  const sorted = [...denials].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
  if (sorted.length === 0) return '<p class="hint">Nothing was denied.</p>'
  const most = sorted[0]?.[1] ?? 1
  const rows = sorted.map(
    ([reason, n]) =>
      `<tr><th scope="row"><code>${text(reason)}</code></th><td class="number">${n.toLocaleString('en-US')}</td><td class="bar"><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="denied" width="${((n / most) * 100).toFixed(1)}" height="8"/></svg></td></tr>`,
  )
  return `<table class="denials"><thead><tr><th scope="col">Reason</th><th scope="col">Times</th><th scope="col"><span class="hidden">As a bar</span></th></tr></thead><tbody>${rows.join('')}</tbody></table>`
}

const mostSpent = 500

/** The largest amounts, one row for each agent, resource and task. */
function spentTable(spent: readonly Spent[]): string {
  if (spent.length === 0) return '<p class="hint">No call that costs money was allowed in this time.</p>'
  const rows = spent.slice(0, mostSpent).map(({ agent, task, grant, approvers, resource, calls, cost }) => {
    const amounts = Object.entries(cost).map(([currency, amount]) => `${amount} ${currency}`)
    const people = approvers.join(', ') || 'no person'
    return `<tr><th scope="row">${text(agent)}<small>${text(task)}, approved by ${text(people)} (${text(grant)})</small></th><td>${text(amounts.join(', '))}</td><td>${calls}</td><td>${text(resource)}</td></tr>`
  })
  const rest = spent.length > mostSpent ? `<p class="hint">And ${spent.length - mostSpent} smaller rows.</p>` : ''
  return `<table><thead><tr><th scope="col">Who, and for which task</th><th scope="col">Spent</th><th scope="col">Calls</th><th scope="col">On</th></tr></thead><tbody>${rows.join('')}</tbody></table>${rest}`
}

const style = `
:root{color-scheme:light dark;--ground:#fff;--ink:#16202e;--ink2:#4a5768;--line:#d5dbe3;--good:#15663a;--bad:#a81e1e;--allowed:#2f9e63;--denied:#d64545;--warn:#fff3d9}
@media(prefers-color-scheme:dark){:root{--ground:#171e27;--ink:#e7ecf2;--ink2:#a9b4c2;--line:#2d3744;--good:#7fd6a4;--bad:#ff9d97;--allowed:#3fa76f;--denied:#e0605a;--warn:#35280f}}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1000px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:32px}
table{width:100%;border-collapse:collapse}caption{text-align:left;font-weight:600;padding:6px 0}
th,td{padding:7px 10px 7px 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;overflow-wrap:anywhere}
th small{display:block;font-weight:400;color:var(--ink2)}
td:nth-child(2){font-variant-numeric:tabular-nums;font-weight:600;white-space:nowrap}
thead th{overflow-wrap:normal}
td:nth-child(3){color:var(--ink2);font-size:.87rem}
tr.good .verdict{color:var(--good)}tr.bad td:nth-child(2),tr.bad .verdict{color:var(--bad)}
.verdict{display:block;font-size:.82rem;font-weight:400}
.hint,figcaption{color:var(--ink2);font-size:.87rem}.warn{background:var(--warn);padding:8px 12px}
figure{margin:0}svg{width:100%;height:auto;display:block}line{stroke:var(--line)}
rect.allowed{fill:var(--allowed)}rect.denied{fill:var(--denied)}
.key{display:inline-block;width:10px;height:10px;margin:0 5px 0 0}.key.allowed{background:var(--allowed)}.key.denied{background:var(--denied);margin-left:10px}
.denials .bar{width:50%}.denials .bar svg{height:10px}
.hidden{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
code{font-size:.85em;overflow-wrap:anywhere}
@media(max-width:600px){th,td{padding-right:6px}td:nth-child(3){font-size:.78rem}}
`.replaceAll('\n', '')
