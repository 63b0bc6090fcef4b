import type { Trust } from '@bailiwick/credentials'
import { invitationAddress } from '@bailiwick/installation'

/** What a newcomer reads: where to go, and what to do next. */
export function welcome(
  data: string,
  trust: Trust,
  { enrolled, sample }: { enrolled: boolean; sample: boolean },
): string {
  const next = enrolled
    ? [`Open ${trust.public_url}/ and sign in with your passkey to answer requests.`]
    : [
        'Nobody is enrolled yet. Next:',
        '  1. Open this invitation in a browser on this machine; it makes you the first approver:',
        `     ${invitationAddress(data)}`,
        sample
          ? '  2. Register a passkey, then answer the sample request that is waiting.'
          : '  2. Register a passkey; then add agents and rules: npx bailiwick registry apply FILE',
        '  3. npm run demo    tells the whole story unattended.',
      ]
  return [
    '',
    `Bailiwick is running at ${trust.public_url}   (state in ${data}; Ctrl-C stops it)`,
    ...(trust.single_operator ? ['Single operator: one passkey approves alone. Not for production.'] : []),
    '',
    ...next,
    '',
  ].join('\n')
}
