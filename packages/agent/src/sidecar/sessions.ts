import { ServiceError } from '@bailiwick/errors'
import { fieldsOf, type RawHeaders } from '@bailiwick/kit'
import type { JsonObject } from '@bailiwick/mcp'
import { Behinds } from './behinds.ts'
import { type Behind, ServerAsks } from './server-asks.ts'

/** Sessions of clients that are kept, and calls that wait for their second round. */
const most = 256

/** A client's session. */
export interface Session {
  /** What the client said in `initialize`: said again when the session behind is another. */
  readonly params: JsonObject
  /** The sessions at the gateway: none until there is a task. */
  readonly behind: Behinds
  readonly asks: ServerAsks
}

export class Sessions {
  readonly #all = new Map<string, Session>()

  open(id: string, params: JsonObject, behind: Behind | undefined): Session {
    const session = { params, behind: new Behinds(behind), asks: new ServerAsks() }
    keepNewest(this.#all, id, session)
    return session
  }

  /** The session that a request names. Throws `mcp_session_unknown` if it names one that is not here. */
  of(request: { headers: RawHeaders }): Session | undefined {
    const id = sessionIn(request)
    if (id === undefined) return undefined
    const session = this.#all.get(id)
    if (session === undefined) throw new ServiceError('mcp_session_unknown', 'there is no such session')
    return session
  }

  end(request: { headers: RawHeaders }): void {
    this.#all.delete(sessionIn(request) ?? '')
  }
}

const sessionIn = ({ headers }: { headers: RawHeaders }): string | undefined => fieldsOf(headers, 'mcp-session-id')[0]

export function keepNewest<V>(kept: Map<string, V>, key: string, value: V): void {
  kept.set(key, value)
  for (const oldest of kept.keys()) if (kept.size > most) kept.delete(oldest)
}
