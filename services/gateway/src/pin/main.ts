import { systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { readGatewayFile } from '../gateway-file.ts'
import { pinnedGit } from '../git/git-entry.ts'
import { pinnedPrices } from '../models/registry-entry.ts'
import { pinnedDatabase } from '../postgres/database-entry.ts'
import { pinnedSession } from '../session/session-manifest.ts'
import { pinnedSsh } from '../ssh/ssh-entry.ts'
import { pinServer } from './pin-server.ts'

const [name = '', config = '', out] = process.argv.slice(2)
try {
  const file = readGatewayFile(config)
  const [provider, git, database] = [file.models[name], file.git[name], file.postgres[name]]
  const [application, ssh] = [file.session[name], file.ssh[name]]
  const secrets = openSecrets({ env: process.env })
  const { entry, notes } =
    (provider && pinnedPrices(name, provider)) ??
    (git && pinnedGit(name, git)) ??
    (database && pinnedDatabase(name, database)) ??
    (application && pinnedSession(name, application)) ??
    (ssh && pinnedSsh(name, ssh)) ??
    (await pinServer({ name, config, out, env: process.env, secrets, random: systemRandom }))
  for (const note of notes) console.error(note)
  console.log(entry.trimEnd())
} catch (error) {
  console.error(`bailiwick: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 2
}
