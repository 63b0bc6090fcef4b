import { useState } from 'react'
import { api } from '../api.ts'
import { problemText } from '../ui/problem-text.ts'
import { saveFile } from '../ui/save-file.ts'
import { useSay } from '../ui/say.tsx'

/** Whether a bundle can be about this id: an action, or what it rests on. */
export const isProvable = (id: string): boolean => /^(dec|call|crd|grt|req|dlg)_/.test(id)

/** Saves a bundle of everything that an action rests on, which an outsider verifies with the log's key alone. */
export function ProveButton({ id }: { id: string }) {
  const say = useSay()
  const [busy, setBusy] = useState(false)
  const prove = async () => {
    setBusy(true)
    try {
      const bundle = await api<object>(`/evidence/bundle/${encodeURIComponent(id)}`)
      saveFile(`bailiwick-proof-${id}.json`, JSON.stringify(bundle), 'application/json')
      say('Saved. Anyone checks it with: bailiwick verify FILE')
    } catch (error) {
      say(problemText(error), 'failed')
    } finally {
      setBusy(false)
    }
  }
  return (
    <button type="button" disabled={busy} onClick={() => void prove()}>
      {busy ? 'Collecting …' : 'Save a proof'}
    </button>
  )
}
