import type { ReactNode } from 'react'
import type { Hello } from '../types.ts'
import { here, passkeyTrouble } from './passkey-trouble.ts'

/** The frame of pages that need no sign-in. */
export function Outside({ hello, children }: { hello: Hello; children: ReactNode }) {
  const trouble = passkeyTrouble(hello.rp_id, here())
  return (
    <main className="outside">
      <div className="outside-card">
        <p className="mark">
          <Mark /> Bailiwick
        </p>
        <p className="where">{hello.installation}</p>
        {trouble === undefined ? null : (
          <p className="note bad" role="alert">
            {trouble}
          </p>
        )}
        {children}
        {hello.software_approver ? (
          <p className="note warn">Software approver: a program approves here, not a person.</p>
        ) : null}
        {hello.single_operator ? <p className="note warn">Single operator: not for production.</p> : null}
      </div>
    </main>
  )
}

export function Mark() {
  return (
    <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" className="mark-sign">
      <path d="M12 1.5 3.5 5v6.2c0 5.3 3.6 9.6 8.5 11.3 4.9-1.7 8.5-6 8.5-11.3V5L12 1.5Z" fill="currentColor" />
      <path d="m7.8 12 2.9 2.9 5.5-5.7" fill="none" stroke="var(--surface)" strokeWidth="2.2" strokeLinecap="round" />
    </svg>
  )
}
