import { errorCode, ServiceError } from '@bailiwick/errors'

/** The name in the registry of one server at the gateway: an agent signs it as part of a tool's. */
export interface ToolServer {
  /** Asked once. Throws `service_unreachable` if the gateway cannot be asked. */
  name(): Promise<string>
  /** Asks again the next time: the gateway read its file again, and the server may have another name there. */
  forget(): void
}

const nameForm = /^[A-Za-z0-9._@-]{1,64}$/
const metadataMs = 10_000

/**
 * Reads the name from the gateway's metadata (RFC 9728). It decides nothing: for a wrong one the agent signs an action that the gateway does
 * not ask about, and is denied.
 */
export function toolServerAt({ origin, pathname }: URL): ToolServer {
  const from = `${origin}/.well-known/oauth-protected-resource${pathname}`
  let asked: Promise<string> | undefined

  async function ask(): Promise<string> {
    try {
      const response = await fetch(from, { redirect: 'error', signal: AbortSignal.timeout(metadataMs) })
      const { bailiwick_tool_server: name = lastOf(pathname) } = objectIn(await response.text())
      if (response.ok && typeof name === 'string' && nameForm.test(name)) return name
      throw new ServiceError('service_unreachable', `${from} is no server of a Bailiwick gateway`)
    } catch (cause) {
      throw errorCode(cause) === 'internal' ? new ServiceError('service_unreachable', from, { cause }) : cause
    }
  }

  return {
    name() {
      asked ??= ask().catch((error: unknown) => {
        asked = undefined
        throw error
      })
      return asked
    },
    forget() {
      asked = undefined
    },
  }
}

const lastOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)

function objectIn(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text)
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
