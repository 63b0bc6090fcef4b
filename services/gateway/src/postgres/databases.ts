import { Served } from '../served.ts'
import { Database, type DatabaseOptions } from './database.ts'
import type { DatabaseEntry } from './database-entry.ts'

export interface DatabasesOptions extends Omit<DatabaseOptions, 'name' | 'entry' | 'address'> {
  /** The gateway's own address, without a path. */
  publicUrl: string
}

/** The databases of the file that is in use. */
export class Databases extends Served<DatabaseEntry, Database> {
  constructor({ publicUrl, ...common }: DatabasesOptions) {
    super({ open: (name, entry) => new Database({ ...common, name, entry, address: `${publicUrl}/postgres/${name}` }) })
  }
}
