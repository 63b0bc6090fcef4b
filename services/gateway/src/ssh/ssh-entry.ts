import { isIPv4, isIPv6 } from 'node:net'
import { jcs, sha256 } from '@bailiwick/credentials'
import { secretsIn } from '@bailiwick/relay'
import { z } from 'zod'
import { serverId, template } from '../file-members.ts'
import { pinned } from '../pin/pinned.ts'

const hostName = z
  .string()
  .max(253)
  .regex(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    'expected the name of a host in lower case',
  )
const account = z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'expected the name of an account')

const network = z.string().refine((text) => {
  const [, address = '', length = ''] = /^([0-9a-f.:]+)\/([0-9]{1,3})$/.exec(text) ?? []
  return (isIPv4(address) && Number(length) <= 32) || (isIPv6(address) && Number(length) <= 128)
}, 'expected an address and the length of its prefix, such as 10.2.0.0/16')

/** Hosts that let agents in by certificates, at `/ssh/<name>/`. */
export const sshEntry = z.strictObject({
  /** The key that signs the certificates: an Ed25519 key, in base64 of PKCS #8. It signs nothing else. */
  ca: template.refine((parts) => parts.length === 1 && secretsIn(parts).length === 1, 'expected ${secret:REFERENCE}'),
  hosts: z.array(hostName).min(1).max(1024),
  accounts: z.array(account).min(1).max(256),
  /** Where agents connect from. */
  source_addresses: z.array(network).min(1).max(64),
  /** How long a certificate is valid, in seconds. */
  seconds: z.int().min(60).max(120).default(60),
  /** The tool server's name in the registry; the name of this entry if left out. */
  server: serverId.optional(),
})
export type SshEntry = z.output<typeof sshEntry>

const domain = 'bailiwick-ssh-manifest-v1'

/** The value of `manifest` in the registry: people approve which accounts of which hosts, from where, for how long, and the secret that signs. */
export function sshManifest({ ca, hosts, accounts, source_addresses, seconds }: SshEntry): string {
  const sorted = {
    // The key that signs decides which hosts accept a certificate: their names are only labels.
    ca: secretsIn(ca),
    hosts: hosts.toSorted(),
    accounts: accounts.toSorted(),
    source_addresses: source_addresses.toSorted(),
  }
  return sha256(jcs([domain, { ...sorted, seconds }]))
}

/** The registry's entry. The labels are a draft. */
export function sshRegistryEntry(name: string, entry: SshEntry) {
  return {
    id: entry.server ?? name,
    url: `ssh://${entry.hosts[0]}`,
    manifest: sshManifest(entry),
    tools: { login: { labels: ['reads_private', 'writes'] } },
  }
}

export const pinnedSsh = (name: string, entry: SshEntry) =>
  pinned(
    sshRegistryEntry(name, entry),
    `Logins as ${entry.accounts.join(', ')} on ${entry.hosts.join(', ')}, from ${entry.source_addresses.join(', ')}`,
    'The labels are a draft. Add destructive, and the starter policies have each login approved by itself',
  )
