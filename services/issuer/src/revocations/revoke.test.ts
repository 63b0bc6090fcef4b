import { expect, it } from 'vitest'
import { revoke, revokeByAgent } from './revoke.ts'

it('a stop does not wait for what agents give back, and none gives back more than its share at once (V18)', async () => {
  const gate = Promise.withResolvers<void>()
  const declared: string[] = []
  const revocations = { sequence: 0, sequenceOf: () => undefined, find: () => undefined }
  const issuer = {
    projection: { ledger: { revocations } },
    clock: { now: () => 0 },
    random: (length: number) => new Uint8Array(length),
    producer: {
      source: '/issuer/revoke-test',
      publishOne: async (_: string, { data }: { data: { target: string } }) => {
        await gate.promise
        revocations.sequence++
        declared.push(data.target)
      },
    },
  } as never
  const giveBack = (instance: string, target: string) =>
    revokeByAgent(issuer, `spiffe://x/agent/${instance}`, { kind: 'delegation', target, reason: 'revoked_by_agent' })
  const flood = Array.from({ length: 64 }, (_, n) => giveBack(`rogue/i${n}`, `dlg_${n}`))
  await expect(giveBack('rogue/i65', 'dlg_65')).rejects.toMatchObject({ code: 'rate_limited' })
  const honest = giveBack('honest/i1', 'dlg_honest')
  const by = { kind: 'operator', id: 'operator' } as const
  const stop = revoke(issuer, { kind: 'grant', target: 'grt_1', reason: 'ordered_by_operator', by })
  gate.resolve()
  expect(await stop).toEqual({ sequence: 2, isNew: true })
  await Promise.all([...flood, honest])
  expect(declared.slice(0, 3)).toEqual(['dlg_0', 'grt_1', 'dlg_1'])
})
