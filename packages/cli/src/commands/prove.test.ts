import { saltedHash } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const words = (text: string) => ({ salt: `${'A'.repeat(21)}Q`, text })
const held = (text: string) => ({ salted_sha256: saltedHash(words(text)) ?? '' })
const leaf = (data: object) => ({ index: 0, proof: [], event: JSON.stringify({ data }) })

it('says of each text whether the bundle shows it, withholds it, or cannot have it, and why', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const bundle = {
    leaves: [
      leaf({ purpose: held('purpose') }),
      leaf({ reason: held('reason') }),
      leaf({ action: { call: held('kept') }, call_kept: true }),
      leaf({ action: { call: held('gone') }, call_kept: true }),
      leaf({ action: { call: held('never') } }),
    ],
    values: [words('purpose'), words('kept')],
  }
  await using _operator = await operatorAt(folder.path, () => ({ body: bundle }))
  const told = async (...argv: string[]) => (await bailiwick(['prove', 'dec_1', '--data', folder.path, ...argv])).err
  const all = await told('--reveal', 'all', '--withhold', 'reason')
  expect(all.split('\n').map((line) => line.split('. ')[0])).toEqual([
    'Shown: 2 of 5 texts (purpose, call)',
    'Withheld: 1 of 5 texts (reason)',
    'Never kept: 1 of 5 texts (call)',
    'Gone: 1 of 5 texts (call)',
  ])
  // The text was not requested, so the output cannot say why it is missing.
  expect(await told('--reveal', 'purpose')).not.toContain('Gone')
})
