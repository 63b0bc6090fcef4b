import { Served } from '../served.ts'
import { Api, type ApiOptions } from './api.ts'
import type { ApiEntry } from './api-entry.ts'

/** Where a request goes. */
export interface Place {
  readonly name: string
  /** The API's address as agents know it, without a slash at its end: the audience of credentials for it alone. */
  readonly address: string
  /** The path and query below it, as received. */
  readonly target: string
}

/** The HTTP APIs of the file that is in use. */
export class Apis extends Served<ApiEntry, Api> {
  constructor(common: Omit<ApiOptions, 'name' | 'entry'>) {
    super({ open: (name, entry) => new Api({ ...common, name, entry }) })
  }

  /** An API that is called by its name in a path; undefined if there is none. */
  byPath(name: string): Api | undefined {
    const api = this.get(name)
    return api?.entry.host === undefined ? api : undefined
  }

  /** The place of a target at the gateway's own host. The only parse of a path: a router's own decodes and normalises. */
  placeByPath(url: string): Place | undefined {
    const [, name = '', target = ''] = /^\/http\/([a-z0-9][a-z0-9_-]*)(\/.*)$/.exec(url) ?? []
    const address = this.byPath(name)?.address
    return address === undefined ? undefined : { name, address, target }
  }

  /** The place of a target at a host of its own; undefined if the Host field names no API. */
  placeByHost(host: string | undefined, target: string): Place | undefined {
    const [, called = ''] = /^([A-Za-z0-9.-]+)(?::\d+)?$/.exec(host ?? '') ?? []
    for (const [name, { entry, address }] of this.entries())
      if (entry.host !== undefined && entry.host === called.toLowerCase()) return { name, address, target }
    return undefined
  }
}
