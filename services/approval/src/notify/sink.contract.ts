import { systemClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import type { Notice } from './notice.ts'
import type { NotificationSink } from './sink.ts'

export const aNotice = (over: Partial<Notice> = {}): Notice => ({
  id: 'ntf_01M87RTSB76RK68YNA8N46KN8Y',
  kind: 'request_waiting',
  at: Date.parse('2026-11-25T10:00:00.000Z'),
  to: ['olga'],
  subject: 'Ledger (spiffe: //acme.example/agent/ledger/one) asks',
  lines: ['Task: reconcile', 'May do tools/call on tool invoices/read; at most 10 times'],
  url: 'https://bailiwick.example/console/requests/req_00000000000000000000',
  requestId: 'req_00000000000000000000',
  agent: 'spiffe://acme.example/agent/ledger/one',
  ...over,
})

/** The guarantees that every notification sink owes its callers. */
export function notificationSinkContract(open: () => Promise<NotificationSink & AsyncDisposable>): void {
  const running = () => new AbortController().signal

  it('says that a notice was sent, also when it is sent again', async () => {
    await using sink = await open()
    expect(await sink.send(aNotice(), running())).toBe('sent')
    expect(await sink.send(aNotice(), running())).toBe('sent')
  })

  it('takes many at once, of any size that a notice has', async () => {
    await using sink = await open()
    const lines = Array.from({ length: 21 }, () => 'x'.repeat(301))
    const notices = Array.from({ length: 20 }, (_, n) => aNotice({ id: `ntf_${n}`, lines }))
    const sent = await Promise.all(notices.map((notice) => sink.send(notice, running())))
    expect(new Set(sent)).toEqual(new Set(['sent']))
  })

  it('answers at once, and does not throw, when it is stopped', async () => {
    await using sink = await open()
    const started = systemClock.monotonic()
    expect(['sent', 'later']).toContain(await sink.send(aNotice(), AbortSignal.abort()))
    expect(systemClock.monotonic() - started).toBeLessThan(1000)
  })
}
