import { expect, it } from 'vitest'
import { Scene } from './scene.ts'

it('a stolen key of another service cannot vouch for freshness as the issuer (V8, V12)', async () => {
  await using scene = await Scene.open()
  const { heads } = scene.pdp.projection
  for (const service of ['approval', 'policy-decision', 'evidence'] as const) {
    const producer = `/${service}/thief`
    await scene.forge(
      'heads.v1',
      {
        type: 'head.published',
        subject: producer,
        source: producer,
        data: {
          service: 'issuer',
          producer,
          active: true,
          sequence: 0,
          hash: 'none',
          counted: { 'grants.v1': { 0: { offset: 1_000_000, id: 'evt_00000000' } } },
          read: {},
          stopping: false,
        },
      },
      scene.stolenKey(service),
    )
    expect(heads.active('issuer')?.head.producer).not.toBe(producer)
  }
  await scene.stillWorks()
})
