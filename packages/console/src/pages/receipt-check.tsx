import { useState } from 'react'
import { api } from '../api.ts'
import type { Verdict } from '../receipt/verify-receipt.ts'
import type { Receipt } from '../types.ts'
import { number } from '../ui/numbers.ts'
import { Facts } from '../ui/parts.tsx'
import { problemText } from '../ui/problem-text.ts'
import { Visible } from '../ui/visible.tsx'

/** Verifies in this browser that an event is in the log, trusting only the log's key. */
export function ReceiptCheck({ eventId, leafIndex }: { eventId: string; leafIndex: number }) {
  const [busy, setBusy] = useState(false)
  const [verdict, setVerdict] = useState<Verdict>()
  const check = async () => {
    setBusy(true)
    setVerdict(undefined)
    try {
      const [receipt, { verifyReceipt }] = await Promise.all([
        api<Receipt>(`/evidence/events/${eventId}`),
        import('../receipt/verify-receipt.ts'),
      ])
      setVerdict(verifyReceipt(receipt, { eventId, leafIndex }))
    } catch (error) {
      setVerdict({ ok: false, why: problemText(error) })
    } finally {
      setBusy(false)
    }
  }
  return (
    <div className="receipt" aria-live="polite">
      <button type="button" className="quiet" disabled={busy} onClick={() => void check()}>
        Verify in this browser
      </button>
      {verdict === undefined ? null : verdict.ok ? (
        <div className="note good">
          <p>
            <strong>Verified here.</strong> Entry {number(verdict.index)} of {number(verdict.size)} in the tree that the
            log signed.
          </p>
          <Facts
            rows={[
              ['Log', <Visible key="o" text={verdict.origin} />],
              ['Leaf hash', <code key="h">{verdict.hash}</code>],
            ]}
          />
        </div>
      ) : (
        <p className="note bad" role="alert">
          <strong>Not verified:</strong> <Visible text={verdict.why} />
        </p>
      )}
    </div>
  )
}
