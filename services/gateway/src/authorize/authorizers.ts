import { Served } from '../served.ts'
import type { AuthorizeEntry } from './authorize-entry.ts'
import { Authorizer, type AuthorizerOptions } from './authorizer.ts'

/** The entries `authorize` of the file that is in use. */
export class Authorizers extends Served<AuthorizeEntry, Authorizer> {
  constructor(common: Omit<AuthorizerOptions, 'name' | 'entry'>) {
    super({ open: (name, entry) => new Authorizer({ ...common, name, entry }) })
  }
}
