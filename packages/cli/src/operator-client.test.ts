import { mkdirSync, writeFileSync } from 'node:fs'
import { paths } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import { temporaryFolder } from './io.fixture.ts'
import { operatorAt } from './operator.fixture.ts'
import { operatorOf } from './operator-client.ts'

it('asks on the socket in the data directory', async () => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, ({ path }) => ({ body: { path } }))
  const client = operatorOf(folder.path)
  expect(await client.get('/operator/registry')).toEqual({ path: '/operator/registry' })
  expect(await client.text('/x')).toBe('{"path":"/x"}')
  expect(await client.post('/operator/revocations', { a: 1 })).toEqual({ path: '/operator/revocations' })
  expect(operator.calls.at(-1)).toEqual({ method: 'POST', path: '/operator/revocations', body: { a: 1 } })
})

it("throws a problem document as the service's own error", async () => {
  using folder = temporaryFolder()
  const body = { code: 'state_stale', detail: 'no head for 3 s', title: 'x', status: 503 }
  await using _ = await operatorAt(folder.path, () => ({ status: 503, body }))
  await expect(operatorOf(folder.path).get('/x')).rejects.toMatchObject({
    code: 'state_stale',
    detail: 'no head for 3 s',
  })
})

it.each([['not JSON'], [{ code: 'no_such_code' }], [null], [{}]])(
  'does not trust the form of a refusal: %j',
  async (body) => {
    using folder = temporaryFolder()
    await using _ = await operatorAt(folder.path, () => ({ status: 418, body }))
    const refusal = expect(operatorOf(folder.path).get('/x')).rejects
    await refusal.toMatchObject({ code: 'service_unready', detail: expect.stringContaining('418') })
  },
)

it('says that nothing runs, and where it looked', async () => {
  using folder = temporaryFolder()
  const message = expect.stringContaining(`nothing answers on ${folder.at('operator.sock')}`)
  await expect(operatorOf(folder.path).post('/x', {})).rejects.toMatchObject({ code: 'service_unready', message })
  writeFileSync(folder.at('operator.sock'), '')
  await expect(operatorOf(folder.path).get('/x')).rejects.toMatchObject({ code: 'service_unready', message })
})

it('says of a change whose answer was lost that it may have happened; a question may simply be asked again', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, () => 'hang up')
  await expect(operatorOf(folder.path).post('/x', {})).rejects.toMatchObject({ code: 'outcome_unknown' })
  await expect(operatorOf(folder.path).get('/x')).rejects.toMatchObject({ code: 'service_unready' })
})

it('refuses an answer that is not JSON', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, () => ({ body: 'hello' }))
  await expect(operatorOf(folder.path).get('/x')).rejects.toMatchObject({ code: 'answer_malformed' })
})

it('tells which checks of readiness fail', async () => {
  using folder = temporaryFolder()
  const answers: { status: number; body: object }[] = [
    { status: 200, body: { status: 'ready' } },
    { status: 503, body: { code: 'service_unready', detail: 'pdp-fresh: no head; evidence-lag: 10 s' } },
    { status: 500, body: { code: 'internal' } },
  ]
  await using _ = await operatorAt(folder.path, () => answers.shift() ?? 'hang up')
  const client = operatorOf(folder.path)
  expect(await client.failing()).toEqual([])
  expect(await client.failing()).toEqual(['pdp-fresh: no head', 'evidence-lag: 10 s'])
  await expect(client.failing()).rejects.toMatchObject({ code: 'internal' })
})

it('asks the service that has the route, of its instances the one that serves', async () => {
  using folder = temporaryFolder()
  const socket = (service: string, port: number) => paths(folder.path).serviceSocket(service, port)
  const standby = { status: 503, body: { code: 'service_unready', detail: 'standby' } }
  await using _approval = await operatorAt(folder.path, () => standby, socket('approval', 8421))
  await using _active = await operatorAt(folder.path, () => ({ body: 'approval' }), socket('approval', 9421))
  await using _issuer = await operatorAt(folder.path, () => ({ body: 'issuer' }), socket('issuer', 8422))
  await using evidence = await operatorAt(folder.path, () => standby, socket('evidence', 8424))
  mkdirSync(paths(folder.path).keys('policy-decision'), { recursive: true })
  const client = operatorOf(folder.path)
  expect(await client.text('/operator/requests')).toBe('approval')
  expect(await client.text('/operator/revocations')).toBe('issuer')
  await expect(client.text('/log/checkpoint')).rejects.toMatchObject({ code: 'service_unready', detail: 'standby' })
  expect(await client.failing()).toEqual(['policy-decision: service_unready', 'evidence: standby'])
  expect(evidence.calls).toHaveLength(2)
})
