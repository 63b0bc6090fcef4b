import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { exportPrivateKey, readKeyFile, type Trust } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'

/** What a newcomer reads: where to go, and what to do next. */
export function welcome(data: string, trust: Trust, enrolled: boolean): string {
  const lines = [
    '',
    `Bailiwick is running at ${trust.public_url}   (state in ${data}; Ctrl-C stops it)`,
    ...(trust.single_operator ? ['Single operator: one passkey approves alone. Not for production.'] : []),
    '',
  ]
  if (enrolled)
    return [...lines, `Open ${trust.public_url}/ and sign in with your passkey to answer requests.`, ''].join('\n')
  const address = invitationAddress(data, trust)
  return [
    ...lines,
    'Nobody is enrolled yet. Next:',
    '  1. Open this invitation in a browser on this machine; it makes you the first approver:',
    `     ${address ?? '(the invitation key is gone; start over with a new data directory)'}`,
    '  2. Register a passkey, then answer the sample request that is waiting.',
    '  3. npm run demo    tells the whole story unattended.',
    '',
  ].join('\n')
}

/** The invitation's private key stands behind `#`, which a browser never sends. */
export function invitationAddress(data: string, trust: Trust): string | undefined {
  const folder = paths(data).keys('invitation')
  if (!existsSync(join(folder, 'invitation.json'))) return undefined
  const key = readKeyFile(folder, 'invitation', 'invitation')
  const secret = Buffer.from(JSON.stringify(exportPrivateKey(key))).toString('base64url')
  return `${trust.public_url}/#invitation=${secret}`
}
