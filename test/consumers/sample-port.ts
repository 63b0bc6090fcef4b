import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'

/** Held while a test serves at the port that the sample registry names (8430). The system frees it when a process ends, however it ends. */
const turn = 18_430

/** Waits until no other test serves at the port of the sample's API, and keeps others away until it is disposed of. */
export async function samplePort(): Promise<AsyncDisposable> {
  for (;;) {
    const server = createServer().listen(turn, '127.0.0.1')
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (free) return server
    await setTimeout(200)
  }
}
