import { systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { pinServer } from './pin-server.ts'

const [name = '', config = '', out] = process.argv.slice(2)
try {
  const { entry, notes } = await pinServer({
    ...{ name, config, out },
    env: process.env,
    secrets: openSecrets({ env: process.env }),
    random: systemRandom,
  })
  for (const note of notes) console.error(note)
  console.log(entry.trimEnd())
} catch (error) {
  console.error(`bailiwick: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 2
}
