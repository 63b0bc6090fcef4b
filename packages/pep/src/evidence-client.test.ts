import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { EvidenceClient } from './evidence-client.ts'
import { aCall, aPoint, FakePdp } from './pdp.fixture.ts'

/** Answers `POST /log/outcomes` with these statuses, the last one again and again; keeps what it was told. */
async function anEvidence(...statuses: number[]) {
  const told: string[] = []
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    told.push(
      `${request.method} ${request.url} ${JSON.parse(Buffer.concat(parts).toString()).outcome.split('.').length}`,
    )
    response.writeHead(statuses[Math.min(told.length, statuses.length) - 1] ?? 500).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const evidenceUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { told, evidenceUrl, [Symbol.asyncDispose]: async () => void server.close() }
}

it('tells evidence of each outcome once, past a decision point that keeps them, and again when evidence was away', async () => {
  await using pdp = await FakePdp.start()
  pdp.outcome = () => ({ status: 503 })
  await using evidence = await anEvidence(503, 204)
  await using point = await aPoint(pdp, { evidenceUrl: evidence.evidenceUrl })
  await point.guard(aCall(), async () => undefined)
  await expect.poll(() => evidence.told, { timeout: 5000 }).toEqual(Array(2).fill('POST /log/outcomes 3'))
  pdp.outcome = () => ({ status: 204 })
  await point.delivered()
  await point.guard(aCall(), async () => undefined)
  await point.delivered()
  await expect.poll(() => evidence.told.length).toBe(3)
  expect(pdp.outcomes.map(({ sequence }) => sequence)).toEqual([1, 2])
})

it('tells evidence also of those behind one that the decision point never takes', async () => {
  await using pdp = await FakePdp.start()
  pdp.outcome = () => ({ status: 503 })
  await using evidence = await anEvidence(204)
  await using point = await aPoint(pdp, { evidenceUrl: evidence.evidenceUrl })
  for (let n = 0; n < 3; n++) await point.guard(aCall(), async () => undefined)
  await expect.poll(() => evidence.told.length, { timeout: 5000 }).toBe(3)
  pdp.outcome = () => ({ status: 204 })
  await point.delivered()
  expect(evidence.told).toHaveLength(3)
  expect(new Set(pdp.outcomes.map(({ sequence }) => sequence))).toEqual(new Set([1, 2, 3]))
})

it('waits for no evidence, and tells that it was not told', async () => {
  await using pdp = await FakePdp.start()
  await using evidence = await anEvidence(400)
  const problems: string[] = []
  await using point = await aPoint(pdp, {
    evidenceUrl: evidence.evidenceUrl,
    onProblem: ({ code }) => {
      problems.push(code)
      throw new Error('nor here') // Else a rejection that nobody handles, which fails the run.
    },
  })
  await point.guard(aCall(), async () => undefined)
  await point.delivered()
  await expect.poll(() => problems).toEqual(['service_unreachable'])
  expect(evidence.told).toHaveLength(1)
})

it('holds no more connections than some to an evidence that hangs, and tells what it kept from it', async () => {
  const problems: string[] = []
  let asked = 0
  const hangs = (_: unknown, { signal }: RequestInit = {}) => {
    asked++
    return new Promise<Response>((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  }
  await using client = new EvidenceClient({
    evidenceUrl: 'http://127.0.0.1:9',
    fetch: hangs,
    timeoutMs: 50,
    onProblem: ({ code }) => problems.push(code),
  })
  for (let n = 0; n < 300; n++) client.tell('a.b.c')
  expect(asked).toBe(256)
  expect(problems).toEqual(Array(44).fill('service_unreachable'))
})
