import { getOrInsert } from '@bailiwick/kit'
import { Served } from '../served.ts'
import { RevokedKeys } from './revoked-keys.ts'
import { SshAuthority, type SshAuthorityOptions } from './ssh-authority.ts'
import type { SshEntry } from './ssh-entry.ts'

export interface SshAuthoritiesOptions extends Omit<SshAuthorityOptions, 'name' | 'entry' | 'address' | 'revoked'> {
  /** The gateway's own address, without a path. */
  publicUrl: string
}

/** The entries `ssh` of the file that is in use. */
export class SshAuthorities extends Served<SshEntry, SshAuthority> {
  /** By the name of the entry: certificates outlive a change of the file. */
  readonly #revoked: Map<string, RevokedKeys>

  constructor({ publicUrl, ...common }: SshAuthoritiesOptions) {
    const revoked = new Map<string, RevokedKeys>()
    super({
      open: (name, entry) =>
        new SshAuthority({
          ...{ ...common, name, entry, address: `${publicUrl}/ssh/${name}` },
          revoked: getOrInsert(revoked, name, () => new RevokedKeys(common)),
        }),
    })
    this.#revoked = revoked
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#revoked.values()) each[Symbol.dispose]()
    await super[Symbol.asyncDispose]()
  }
}
