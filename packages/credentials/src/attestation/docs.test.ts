import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { agentSchema } from '@bailiwick/contracts'
import { expect, it } from 'vitest'

const page = readFileSync(join(import.meta.dirname, '../../../../docs/operations/attestation.md'), 'utf8')
const agents = [...page.matchAll(/^```json agent\n(.*?)^```$/gms)].map(([, text = '']) => text)

it('the page shows agents that can be registered', () => {
  expect(agents).toHaveLength(3)
  for (const text of agents) expect(agentSchema.safeParse(JSON.parse(text))).toMatchObject({ success: true })
})
