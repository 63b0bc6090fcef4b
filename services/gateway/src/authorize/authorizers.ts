import type { GatewayFile } from '../gateway-file.ts'
import type { Changes } from '../mcp/mcp-servers.ts'
import { Authorizer, type AuthorizerOptions } from './authorizer.ts'

type Common = Omit<AuthorizerOptions, 'name' | 'entry'>

/** The entries `authorize` of the file that is in use. They hold nothing open: what is being decided ends as it began. */
export class Authorizers {
  readonly #common: Common
  #all: ReadonlyMap<string, Authorizer> = new Map()

  constructor(common: Common) {
    this.#common = common
  }

  get(name: string): Authorizer | undefined {
    return this.#all.get(name)
  }

  /** Opens the entries of a file. Only what it returns puts them into use. Throws `config_invalid`; then nothing was changed. */
  prepare(entries: GatewayFile['authorize']): () => Changes {
    const current = this.#all
    const next = new Map(
      Object.entries(entries).map(([name, entry]) => {
        const known = current.get(name)
        const isSame = known !== undefined && JSON.stringify(known.entry) === JSON.stringify(entry)
        return [name, isSame ? known : new Authorizer({ ...this.#common, name, entry })]
      }),
    )
    return () => {
      this.#all = next
      const names = [...next.keys()]
      return {
        added: names.filter((name) => !current.has(name)),
        changed: names.filter((name) => current.has(name) && current.get(name) !== next.get(name)),
        removed: [...current.keys()].filter((name) => !next.has(name)),
      }
    }
  }
}
