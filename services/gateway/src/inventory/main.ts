import { connect } from 'node:net'
import { errorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { systemClock } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { inventorySchema, takeInventory } from './inventory.ts'

// The process of `bailiwick gateway inventory`: reads a request as JSON, and writes an inventory or an error as JSON. It changes nothing.

/** A host that takes longer is not reached in practice. */
const connectMs = 3000

try {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  const request = inventorySchema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')))
  const { env } = process
  const adapters = { env, cwd: process.cwd(), secrets: openSecrets({ env }), now: systemClock.now, connects }
  await write({ inventory: await takeInventory(request, adapters) })
} catch (error) {
  const code = errorCode(error)
  // Nothing of an error that is not ours: it may quote what was read.
  const detail = error instanceof ServiceError ? error.detail : undefined
  await write({ error: { code, detail: detail ?? errorKinds[code].title } })
}
process.exit()

function connects(to: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ ...to, timeout: connectMs })
    const end = (answers: boolean) => {
      socket.destroy()
      resolve(answers)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}

function write(answer: object): Promise<void> {
  return new Promise((resolve) => process.stdout.write(JSON.stringify(answer), () => resolve()))
}
