import { chmodSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const secret = 'a-password-of-billing'

it('lists what still works without the gateway, and what to rotate, and never the secret (V17)', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, () => ({
    body: { enrolled: true, entities: [{ type: 'tool-server', id: 'billing', version: 1, value: { id: 'billing' } }] },
  }))
  writeFileSync(folder.at('secret'), secret, { mode: 0o600 })
  writeFileSync(
    folder.at('gateway.yaml'),
    `http:
  billing: { url: 'https://billing.example.com', inject: { headers: { x: '\${secret:file:${folder.at('secret')}}' } } }
`,
  )
  writeFileSync(folder.at('copy\u001b[2J'), secret)
  const env = { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, HOME: folder.path }
  const inventory = (...more: string[]) =>
    bailiwick(['gateway', 'inventory', '--config', folder.at('gateway.yaml'), '--data', folder.path, ...more], { env })

  const nothing = await inventory()
  expect(nothing).toMatchObject({ code: 0, out: expect.stringContaining('Nothing found for: billing') })

  const { code, out } = await inventory('--look', folder.at('copy\u001b[2J'))
  expect(code).toBe(1)
  expect(out).toContain(`billing (http)  file:${folder.at('secret')} also stands in ${folder.at('copy\\u001b[2J')}:1`)
  expect(out).toContain(`ROTATE file:${folder.at('secret')} (billing): copy`)
  expect(out).not.toContain(secret)

  chmodSync(folder.at('secret'), 0o640)
  const json = await inventory('--json')
  expect(json.code).toBe(1)
  expect(JSON.parse(json.out)).toMatchObject({
    rotate: [{ reference: `file:${folder.at('secret')}`, because: ['readable'] }],
    elsewhere: [],
  })

  writeFileSync(folder.at('gateway.yaml'), `http: { billing: { url: '${secret}' } }`)
  const broken = await inventory()
  expect(broken.code).toBe(2)
  expect(broken.out + broken.err).not.toContain(secret)
})
