import { type Action, actionDigest } from '@bailiwick/credentials'
import { sample } from '@bailiwick/standalone/sample'

const action = { name: 'tools/call', properties: { invoice: 'INV-1' } }

/** The call that the measures make: it reads an invoice. */
export function invoiceCall(toolServer: string = sample.toolServer) {
  const resource = { type: 'tool', id: `${toolServer}/read` }
  return { action, resource, digest: actionDigest({ ...action, resource } satisfies Action) }
}
