import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { bodyOf } from './bodies.ts'
import { promptsPerHour } from './prompts.ts'
import { aNotice } from './sink.contract.ts'

const page = readFileSync(join(import.meta.dirname, '../../../../docs/how-to/notifications.md'), 'utf8')

it('docs/how-to/notifications.md has the bodies as they are posted', () => {
  const shown = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, json = '']) => JSON.parse(json))
  expect(shown).toEqual(
    (['json', 'slack'] as const).map((format) => JSON.parse(bodyOf(aNotice(), format, 'ins_0123456789ABCDEF'))),
  )
  expect(page).toContain(`at most ${promptsPerHour} prompts an hour`)
})
