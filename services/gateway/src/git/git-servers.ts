import { Served } from '../served.ts'
import type { GitEntry } from './git-entry.ts'
import { GitServer, type GitServerOptions } from './git-server.ts'

export interface GitServersOptions extends Omit<GitServerOptions, 'name' | 'entry' | 'address'> {
  /** The gateway's own address, without a path. */
  publicUrl: string
}

/** The git servers of the file that is in use. */
export class GitServers extends Served<GitEntry, GitServer> {
  constructor({ publicUrl, ...common }: GitServersOptions) {
    super({ open: (name, entry) => new GitServer({ ...common, name, entry, address: `${publicUrl}/git/${name}` }) })
  }
}
