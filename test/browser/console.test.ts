import { describe } from 'vitest'
import { noBrowser } from './browser.ts'
import { addresses } from './console/addresses.ts'
import { answering } from './console/answering.ts'
import { appearance } from './console/appearance.ts'
import { people } from './console/people.ts'
import { triage } from './console/triage.ts'
import { atADesk } from './desk.ts'

describe.skipIf(noBrowser)('the console, in Chromium, at a desk', () => {
  const desk = atADesk()
  answering(desk)
  people(desk)
  triage(desk)
  addresses(desk)
  appearance(desk)
})
