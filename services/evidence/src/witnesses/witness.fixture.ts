import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  cosign,
  emptyRoot,
  openCheckpoint,
  type Policy,
  parseAddCheckpoint,
  parseNote,
  SIGNATURE_TYPE,
  SignerKey,
  signatureLine,
  type TreeHead,
  verifyConsistency,
} from '@bailiwick/tlog'
import { logKey } from '../log/log.fixture.ts'

export interface WitnessReply {
  status: number
  type?: string
  body?: string
}

/** Gives another answer than an honest witness would; undefined: the honest answer. `'hang'` never answers. */
export type Misbehaviour = (request: {
  body: Buffer
  honest: WitnessReply
}) => WitnessReply | 'hang' | undefined | Promise<undefined>

export const witnessKeyOf = (n: number) =>
  new SignerKey(`witness.example/${n}`, new Uint8Array(32).fill(100 + n), SIGNATURE_TYPE.COSIGNATURE)

/** A witness of the test log on a port of its own, which follows the standard unless the test makes it misbehave. */
export async function aWitness(
  n: number,
  misbehave: Misbehaviour = () => undefined,
  log = logKey.verifier,
  key = witnessKeyOf(n),
) {
  const bodies: Buffer[] = []
  let last: TreeHead = { size: 0, root: emptyRoot() }

  function honest(body: Buffer): WitnessReply {
    const request = parseAddCheckpoint(body)
    const opened = request && openCheckpoint(request.checkpoint, { log })
    if (request === undefined || !opened?.ok) return { status: 403 }
    if (request.oldSize !== last.size) return { status: 409, type: 'text/x.tlog.size', body: `${last.size}\n` }
    if (!verifyConsistency(request.proof, last, opened.checkpoint)) return { status: 422 }
    last = opened.checkpoint
    const line = signatureLine(cosign(parseNote(request.checkpoint)?.text ?? '', key, 1_700_000_000))
    return { status: 200, type: 'text/plain; charset=utf-8', body: line }
  }

  const server = createServer(async (request, response) => {
    const body = await bodyOf(request)
    bodies.push(body)
    if (request.method !== 'POST' || request.url !== '/w/add-checkpoint') return void response.writeHead(405).end()
    const before = last
    const right = honest(body)
    const wrong = await misbehave({ body, honest: right })
    if (wrong !== undefined) last = before
    if (wrong === 'hang') return
    const { status, type = 'text/plain', body: text = '' } = wrong ?? right
    response.writeHead(status, { 'content-type': type }).end(text)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/w`
  return {
    party: { key: key.verifier, url },
    bodies,
    last: () => last,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

export type SomeWitness = Awaited<ReturnType<typeof aWitness>>

/** A policy that requires `threshold` of these witnesses. */
export function policyOf(threshold: number, ...witnesses: readonly Pick<SomeWitness, 'party'>[]): Policy {
  const parties = witnesses.map(({ party }) => party)
  return { logs: [], witnesses: parties, quorum: { threshold, members: parties.map(({ key }) => key) } }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts)
}
