import { parseVkey, SIGNATURE_TYPE, type SignatureType, type VerifierKey } from './keys.ts'
import { decodeUtf8 } from './text.ts'

/** A log or a witness that a policy names, and its address if the policy gives one. */
export interface PolicyParty {
  readonly key: VerifierKey
  readonly url?: string
}

/** Which witnesses must have cosigned: a single one, or `threshold` of the members. */
export type Quorum = VerifierKey | { readonly threshold: number; readonly members: readonly Quorum[] }

/** Which checkpoints count (C2SP tlog-policy): signed by any of the logs, and cosigned by the quorum. */
export interface Policy {
  /** Empty if the log is known from elsewhere. */
  readonly logs: readonly PolicyParty[]
  readonly witnesses: readonly PolicyParty[]
  /** undefined: no cosignature is required. */
  readonly quorum: Quorum | undefined
}

export type ParsedPolicy =
  | { readonly ok: true; readonly policy: Policy }
  /** `line` counts from 1. If something is missing, it is the last line. */
  | { readonly ok: false; readonly line: number; readonly reason: string }

const NONE = 'none'

/** Reads a policy file strictly. Never throws: text that breaks the format is refused with its line. */
export function parsePolicy(file: Uint8Array): ParsedPolicy {
  const reader = new PolicyReader()
  // Octets beyond ASCII are opaque. Latin-1 keeps each as it is, so different names stay different.
  const lines = Buffer.from(file).toString('latin1').split('\n')
  for (const [at, line] of lines.entries()) {
    const reason = reader.read(line)
    if (reason !== undefined) return { ok: false, line: at + 1, reason }
  }
  const { policy } = reader
  return policy === undefined
    ? { ok: false, line: lines.length, reason: 'there is no quorum line' }
    : { ok: true, policy }
}

/** Whether these cosigners meet the quorum. The caller has verified each of their cosignatures. */
export function isQuorumMet({ quorum }: Pick<Policy, 'quorum'>, cosigners: readonly VerifierKey[]): boolean {
  return quorum === undefined || hasWitnessed(quorum, cosigners)
}

function hasWitnessed(quorum: Quorum, cosigners: readonly VerifierKey[]): boolean {
  if (!('threshold' in quorum)) return cosigners.includes(quorum)
  return quorum.members.filter((member) => hasWitnessed(member, cosigners)).length >= quorum.threshold
}

class PolicyReader {
  readonly #logs: PolicyParty[] = []
  readonly #witnesses: PolicyParty[] = []
  readonly #named = new Map<string, Quorum>()
  readonly #members = new Set<string>()
  #quorum: { is: Quorum | undefined } | undefined

  get policy(): Policy | undefined {
    if (this.#quorum === undefined) return undefined
    return { logs: this.#logs, witnesses: this.#witnesses, quorum: this.#quorum.is }
  }

  /** The error in the line, if any. */
  read(line: string): string | undefined {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(line)) return 'it has a control character'
    const [keyword, ...items] = line.split(/[ \t]+/).filter((item) => item !== '')
    if (keyword === undefined || keyword.startsWith('#')) return undefined
    switch (keyword) {
      case 'log':
        return this.#log(items)
      case 'witness':
        return this.#witness(items)
      case 'group':
        return this.#group(items)
      case 'quorum':
        return this.#theQuorum(items)
      default:
        return 'it is no log, witness, group or quorum'
    }
  }

  #log([vkey, url, ...more]: string[]): string | undefined {
    if (vkey === undefined || more.length > 0) return 'it is not: log <vkey> [<url>]'
    return addParty(this.#logs, vkey, url, SIGNATURE_TYPE.ED25519)
  }

  #witness([name, vkey, url, ...more]: string[]): string | undefined {
    if (name === undefined || vkey === undefined || more.length > 0) return 'it is not: witness <name> <vkey> [<url>]'
    const wrong = this.#nameTaken(name) ?? addParty(this.#witnesses, vkey, url, SIGNATURE_TYPE.COSIGNATURE)
    const added = this.#witnesses.at(-1)
    if (wrong === undefined && added !== undefined) this.#named.set(name, added.key)
    return wrong
  }

  #group([name, rule, ...names]: string[]): string | undefined {
    if (name === undefined || rule === undefined || names.length === 0)
      return 'it is not: group <name> all|any|<k> <name>…'
    const taken = this.#nameTaken(name)
    if (taken !== undefined) return taken
    const threshold = thresholdOf(rule, names.length)
    if (threshold === undefined) return `${rule} is not all, any, or a number from 1 to ${names.length}`
    const members: Quorum[] = []
    for (const each of names) {
      const member = this.#named.get(each)
      if (member === undefined) return `${each} is not defined before it`
      // A witness that counted twice could meet a quorum with fewer witnesses than the quorum states.
      if (this.#members.has(each)) return `${each} is a member already`
      this.#members.add(each)
      members.push(member)
    }
    this.#named.set(name, { threshold, members })
    return undefined
  }

  #theQuorum([name, ...more]: string[]): string | undefined {
    if (name === undefined || more.length > 0) return 'it is not: quorum <name>'
    if (this.#quorum !== undefined) return 'it is the second quorum'
    const is = this.#named.get(name)
    if (is === undefined && name !== NONE) return `${name} is not defined before it`
    this.#quorum = { is }
    return undefined
  }

  #nameTaken(name: string): string | undefined {
    return name === NONE || this.#named.has(name) ? `${name} is defined already` : undefined
  }
}

function addParty(to: PolicyParty[], vkey: string, url: string | undefined, type: SignatureType): string | undefined {
  const text = decodeUtf8(Buffer.from(vkey, 'latin1'))
  const key = text === undefined ? undefined : parseVkey(text)
  if (key?.type !== type) return 'it has no vkey of a type that is known here for this'
  if (to.some((known) => Buffer.compare(known.key.publicKey, key.publicKey) === 0))
    return 'its public key is there already'
  to.push({ key, ...(url === undefined ? {} : { url }) })
  return undefined
}

function thresholdOf(rule: string, of: number): number | undefined {
  if (rule === 'any') return 1
  if (rule === 'all') return of
  const k = /^[1-9][0-9]{0,5}$/.test(rule) ? Number(rule) : undefined
  return k !== undefined && k <= of ? k : undefined
}
