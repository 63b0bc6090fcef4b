import { type Failing, Health, type HttpServer } from '@bailiwick/service-kit'

/** What answers on a process's address while its start waits. */
export interface Lobby {
  /** What is missing; undefined once the start goes on. */
  waitsFor(reason: string | undefined): void
  /** As the health of the process that starts; nothing once it is closed. */
  readiness(): Failing
  /** Makes room for the process's own server. May be called again. */
  close(): Promise<void>
}

/**
 * Answers on the process's address until it has started: live, not ready, and why (decision 49). All else is refused with
 * `service_standby`. Without a fixed port nobody could ask.
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
