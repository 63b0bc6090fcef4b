import { generateKey, outcomeHash, signCallerAssertion, signOutcome } from '@bailiwick/credentials'
import { newId } from '@bailiwick/kit'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { eventually, Scene } from './scene.ts'

/** An attacker with the keys of an enforcement point: a replica that was taken over. */
function replica({ system: { clock, data, random, url, trust } }: Scene) {
  const iat = Math.floor(clock.now() / 1000)
  const claims = { iss: sample.enforcementPoint, sub: sample.enforcementPoint, aud: url, iat, exp: iat + 60 }
  const jti = newId('call', clock.now(), random)
  const assertion = signCallerAssertion({ ...claims, jti }, sampleKey(data, 'point-caller'))
  return {
    sign: (said: object, key = sampleKey(data, 'point-outcome')) =>
      signOutcome({ ...said, installation: trust.installation } as never, key),
    async report(outcome: string): Promise<number> {
      const headers = { authorization: `Bearer ${assertion}`, 'content-type': 'application/json' }
      const body = JSON.stringify({ outcome })
      return (await fetch(`${url}/v1/outcomes`, { method: 'POST', headers, body })).status
    },
  }
}

it('a second outcome of a decision is refused and logged once, and evidence accuses the enforcement point (V10)', async () => {
  await using scene = await Scene.open()
  const { grantId } = await scene.granted()
  const agent = scene.agent()
  for (let n = 0; n < 2; n++) expect(await scene.tryCall(agent, grantId)).toBe('ok')
  await scene.invoices.delivered()
  const honest = await scene.audited()
  expect(honest.findings).toEqual([])
  const reported = (await scene.events('decisions.v1')).flatMap(({ type, data }) =>
    type === 'outcome.reported' ? [(data as { outcome: string }).outcome] : [],
  )
  const [first = ''] = reported
  const said = JSON.parse(Buffer.from(first.split('.')[1] ?? '', 'base64url').toString())
  const thief = replica(scene)
  // The same outcome sent again gets the same answer; an unsigned one is not considered.
  expect(await thief.report(first)).toBe(204)
  expect(await thief.report(thief.sign(said, generateKey('outcome')))).toBe(401)
  // The decision has an outcome, and it belongs to another instance.
  const lie = thief.sign({ ...said, status: 'not_executed' })
  const another = thief.sign({ ...said, instance: `${'Z'.repeat(21)}A` })
  expect([await thief.report(lie), await thief.report(lie), await thief.report(another)]).toEqual([409, 409, 409])
  const refused = await eventually('the log has it', async () => {
    const found = (await scene.events('decisions.v1')).filter(({ type }) => type === 'outcome.refused')
    return found.length > 0 ? found : undefined
  })
  expect(refused).toMatchObject([{ data: { code: 'outcome_mismatch', outcome: lie } }])
  const contradicted = await eventually('evidence tells', async () =>
    (await scene.events('findings.v1')).find(({ type }) => type === 'outcome.contradicted'),
  )
  expect(contradicted.data).toMatchObject({ of: 'decision', signed_sha256: outcomeHash(lie), instance: said.instance })
  expect((await scene.events('findings.v1')).map(({ type }) => type)).not.toContain('outcome.unrelayed')
  const { findings } = await scene.audited()
  expect(findings).toMatchObject([
    { rule: 'V10', detail: expect.stringContaining('signed an outcome that was not accepted') },
  ])
})
