import { systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { readGatewayFile } from '../gateway-file.ts'
import { pinnedPrices } from '../models/registry-entry.ts'
import { pinServer } from './pin-server.ts'

const [name = '', config = '', out] = process.argv.slice(2)
try {
  const provider = readGatewayFile(config).models[name]
  const { entry, notes } = provider
    ? pinnedPrices(name, provider)
    : await pinServer({
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
