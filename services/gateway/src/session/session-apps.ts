import { Served } from '../served.ts'
import { SessionApp, type SessionAppOptions } from './session-app.ts'
import type { SessionEntry } from './session-entry.ts'

export interface SessionAppsOptions extends Omit<SessionAppOptions, 'name' | 'entry' | 'address'> {
  /** The gateway's own address, without a path. */
  publicUrl: string
}

/** The web applications of the file that is in use. */
export class SessionApps extends Served<SessionEntry, SessionApp> {
  constructor({ publicUrl, ...common }: SessionAppsOptions) {
    super({
      open: (name, entry) => new SessionApp({ ...common, name, entry, address: `${publicUrl}/session/${name}` }),
    })
  }
}
