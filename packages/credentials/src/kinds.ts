/**
 * The purpose of a key. A key signs and verifies for its purpose only (V12). `log` belongs to the `tlog` package, whose keys are written as
 * vkeys.
 */
export type Purpose =
  | 'root'
  | 'invitation'
  | 'credential'
  | 'issuer-event'
  | 'approval-event'
  | 'pdp-event'
  | 'evidence-event'
  | 'permit'
  | 'binding-token'
  | 'notification'
  | 'log'
  | 'outcome'
  | 'pep-caller'
  | 'auditor'
  | 'agent'

/**
 * Every kind of signed object: the `typ` of its header, and the purposes whose keys may sign it. Some purposes sign several kinds (root,
 * agent). There only `typ` prevents one kind from passing for another, so no two kinds share one.
 */
export const kinds = {
  event: { typ: 'bailiwick-event+jws', purposes: ['issuer-event', 'approval-event', 'pdp-event', 'evidence-event'] },
  serviceKey: { typ: 'bailiwick-key+jws', purposes: ['root'] },
  genesis: { typ: 'bailiwick-genesis+jws', purposes: ['root'] },
  invitation: { typ: 'bailiwick-invitation+jws', purposes: ['invitation'] },
  accessRequest: { typ: 'bailiwick-request+jws', purposes: ['agent'] },
  clientAssertion: { typ: 'client-authentication+jwt', purposes: ['agent', 'pep-caller', 'auditor'] },
  dpopProof: { typ: 'dpop+jwt', purposes: ['agent'] },
  delegation: { typ: 'bailiwick-delegation+jwt', purposes: ['agent'] },
  accessToken: { typ: 'at+jwt', purposes: ['credential'] },
  callerAssertion: { typ: 'bailiwick-caller+jwt', purposes: ['pep-caller'] },
  continuation: { typ: 'bailiwick-continuation+jws', purposes: ['pep-caller'] },
  outcome: { typ: 'bailiwick-outcome+jws', purposes: ['outcome'] },
  permit: { typ: 'bailiwick-permit+jwt', purposes: ['permit'] },
  bindingToken: { typ: 'bailiwick-binding+jwt', purposes: ['binding-token'] },
  notification: { typ: 'bailiwick-notification+jws', purposes: ['notification'] },
} as const satisfies Record<string, { typ: string; purposes: readonly Purpose[] }>

export type Kind = keyof typeof kinds
export type PurposeOf<K extends Kind> = (typeof kinds)[K]['purposes'][number]

/** Whether a key of this purpose may sign this kind. */
export function mayBeSignedFor(kind: Kind, purpose: Purpose): boolean {
  return (kinds[kind].purposes as readonly Purpose[]).includes(purpose)
}
