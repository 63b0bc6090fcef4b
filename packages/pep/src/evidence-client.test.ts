import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { EvidenceClient } from './evidence-client.ts'
import { aCall, aPoint, FakePdp, numberOf } from './pdp.fixture.ts'

/** Answers `POST /log/outcomes` with these statuses, repeating the last one; keeps the outcomes it was sent, and whether each one waits. */
async function anEvidence(...statuses: number[]) {
  const told: string[] = []
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const { outcomes, answered } = JSON.parse(Buffer.concat(parts).toString())
    for (const outcome of outcomes) told.push(`${numberOf(outcome)} ${answered ? 'answered' : 'waits'}`)
    const status = (statuses.length > 1 ? statuses.shift() : statuses[0]) ?? 500
    if (status !== 200) return response.writeHead(status).end()
    return response.end(JSON.stringify({ results: outcomes.map(() => ({ status: 204 })) }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const evidenceUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { told, evidenceUrl, [Symbol.asyncDispose]: async () => void server.close() }
}

it('tells evidence of each outcome once, as answered, when the decision point has answered it', async () => {
  await using pdp = await FakePdp.start()
  pdp.outcome = ({ sequence }) =>
    sequence === 2 ? { status: 409, body: { code: 'outcome_mismatch' } } : { status: 204 }
  await using evidence = await anEvidence(200)
  await using point = await aPoint(pdp, { evidenceUrl: evidence.evidenceUrl })
  for (let n = 0; n < 3; n++) await point.guard(aCall(), async () => undefined)
  await point.delivered()
  await expect.poll(() => evidence.told.toSorted()).toEqual(['1 answered', '2 answered', '3 answered'])
})

it('tells evidence which outcomes wait while a decision point keeps them, those behind the first too, and later that they were answered', async () => {
  await using pdp = await FakePdp.start()
  pdp.outcome = () => ({ status: 503 })
  await using evidence = await anEvidence(503, 200)
  await using point = await aPoint(pdp, { evidenceUrl: evidence.evidenceUrl })
  for (let n = 0; n < 3; n++) await point.guard(aCall(), async () => undefined)
  const waiting = ['1 waits', '2 waits', '3 waits']
  await expect.poll(() => [...new Set(evidence.told)].toSorted(), { timeout: 5000 }).toEqual(waiting)
  expect(evidence.told.filter((each) => each.endsWith('answered'))).toEqual([])
  pdp.outcome = () => ({ status: 204 })
  await point.delivered()
  const answered = ['1 answered', '2 answered', '3 answered']
  await expect
    .poll(() => evidence.told.filter((each) => each.endsWith('answered')).toSorted(), { timeout: 5000 })
    .toEqual(answered)
})

it('waits for no evidence, and tells that it was not told', async () => {
  await using pdp = await FakePdp.start()
  await using evidence = await anEvidence(400)
  const problems: string[] = []
  await using point = await aPoint(pdp, {
    evidenceUrl: evidence.evidenceUrl,
    onProblem: ({ code }) => {
      problems.push(code)
      throw new Error('nor here') // Otherwise it is an unhandled rejection, which fails the run.
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
  for (let n = 0; n < 70; n++) client.tell(['a.b.c'], true)
  client.tell([], true)
  expect(asked).toBe(64)
  expect(problems).toEqual(Array(6).fill('service_unreachable'))
})
