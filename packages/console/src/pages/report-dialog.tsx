import { api, query, serverNow } from '../api.ts'
import type { MakeReportAnswer } from '../types.ts'
import { Dialog } from '../ui/dialog.tsx'
import { saveFile } from '../ui/save-file.ts'
import { useSay } from '../ui/say.tsx'

const dayMs = 24 * 3_600_000
const usualDays = 30
const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)

/** Saves the report for auditors, which evidence makes from the whole log, each entry verified first. */
export function ReportDialog({ onClose }: { onClose(): void }) {
  const say = useSay()
  const submit = async (data: FormData) => {
    const [first, last] = [String(data.get('from')), String(data.get('to'))]
    const [from, to] = [Date.parse(first), Date.parse(last) + dayMs - 1]
    if (!(from <= to)) throw new Error('The last day is before the first.')
    const iso = (ms: number) => new Date(ms).toISOString()
    const { html, ok } = await api<MakeReportAnswer>(`/evidence/report${query({ from: iso(from), to: iso(to) })}`)
    saveFile(`bailiwick-report-${first}-${last}.html`, html, 'text/html')
    say(
      ok ? 'Saved. Every number is as it should be.' : 'Saved. Some numbers are NOT as they should be.',
      ok ? undefined : 'failed',
    )
  }
  return (
    <Dialog title="Make a report" action="Make the report" onSubmit={submit} onClose={onClose}>
      <p>
        How agents were governed, in numbers from the log: approvals, denials, standing access, revocations, gaps. Every
        entry is verified first, which takes a moment.
      </p>
      <label className="field">
        <span>First day (UTC)</span>
        <input type="date" name="from" required defaultValue={dayOf(serverNow() - usualDays * dayMs)} />
      </label>
      <label className="field">
        <span>Last day (UTC)</span>
        <input type="date" name="to" required defaultValue={dayOf(serverNow())} />
      </label>
    </Dialog>
  )
}
