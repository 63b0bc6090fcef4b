import type { Trust } from '@bailiwick/credentials'
import { invitationFor, nextSteps } from '@bailiwick/installation'

/**
 * The text for a newcomer: where to go, and what to do next. `terminal`: whether a person reads it there and no log keeps it; only then
 * does it contain the invitation. `env`: says whether this runs in a container, in which case the reader is outside it.
 */
export function welcome(
  data: string,
  trust: Trust,
  {
    enrolled,
    sample,
    terminal,
    env = {},
  }: { enrolled: boolean; sample: boolean; terminal: boolean; env?: Readonly<Record<string, string | undefined>> },
): string {
  const { read, applyRegistry, checkout } = nextSteps(env)
  const invitation = () => {
    const where = invitationFor(data, { terminal })
    return 'file' in where
      ? [
          `  1. Open the address in ${where.file} in a browser; it makes you the first approver.`,
          ...(read ? [`     ${read(where.file)}`] : []),
        ]
      : [
          '  1. Open this invitation in a browser on this machine; it makes you the first approver:',
          `     ${where.address}`,
        ]
  }
  const next = enrolled
    ? [`Open ${trust.public_url}/ and sign in with your passkey to answer requests.`]
    : [
        'No approver is enrolled yet. Next:',
        ...invitation(),
        sample
          ? '  2. Register a passkey, then answer the sample request that is waiting.'
          : `  2. Register a passkey; then add agents and rules: ${applyRegistry}`,
        ...(checkout ? ['  3. npm run demo    tells the whole story unattended.'] : []),
      ]
  return [
    '',
    `Bailiwick is running at ${trust.public_url}   (state in ${data}; Ctrl-C stops it)`,
    ...(trust.software_approver
      ? ['Software approver: a program approves here, not a person. Only for trying out.']
      : []),
    ...(trust.single_operator ? ['Single operator: one passkey approves alone. Not for production.'] : []),
    '',
    ...next,
    '',
  ].join('\n')
}
