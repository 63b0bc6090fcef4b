import type { HttpServer } from '../http/http-server.ts'
import { type Failing, Health } from '../observe/health.ts'

/** The server on a process's address while its start waits. */
export interface Lobby {
  /** Sets what the start waits for; undefined once the start goes on. */
  waitsFor(reason: string | undefined): void
  /** The failing checks of the start; none once the lobby is closed. */
  readiness(): Failing
  /** Frees the address for the process's own server. May be called again. */
  close(): Promise<void>
}

/**
 * Answers health checks on the process's address until it has started: it is live, and not ready for a stated reason (decision 49).
 * Refuses everything else with `service_standby`. Without a fixed port there is no lobby, because no probe could know its address.
 */
export async function openLobby(
  server: (health: Health) => Promise<HttpServer>,
  address: { host: string; port: number },
): Promise<Lobby | undefined> {
  if (address.port === 0) return undefined
  const health = new Health()
  let reason: string | undefined
  health.check('start', () => reason ?? 'it starts', { gate: true })
  const http = await server(health)
  await http.listen(address)
  let isOpen = true
  return {
    waitsFor(missing) {
      reason = missing
    },
    readiness: () => (isOpen ? health.readiness() : {}),
    close() {
      isOpen = false
      return http.close()
    },
  }
}
