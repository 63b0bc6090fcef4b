import { ServiceError } from '@bailiwick/errors'
import { openSecrets } from '@bailiwick/relay'
import { findChromium } from './chromium.ts'
import { draftText } from './draft.ts'
import { recordLogin } from './record-login.ts'
import { watchLogin } from './watched-login.ts'

const [url = '', name = '', user = '', password = '', browser] = process.argv.slice(2)
const mostMs = 120_000

try {
  const secrets = openSecrets({ env: process.env })
  const signal = AbortSignal.timeout(mostMs)
  const program = browser === 'none' ? undefined : (browser ?? findChromium(process.env.PATH ?? ''))
  if (program === undefined) console.error('No browser was used: what a script adds to the form is not seen')
  const isRoot = process.getuid?.() === 0
  const watch = async (at: string) => {
    const secret = await secrets.read(password)
    return watchLogin(program ?? '', { url: at, user, password: secret.reveal(), isRoot })
  }
  const options = { url, user, password, secrets, signal, watch: program === undefined ? undefined : watch }
  const { draft, guesses, notes } = await recordLogin(options)
  for (const note of notes) console.error(note)
  console.log(draftText(name, draft, guesses))
} catch (error) {
  const detail = error instanceof ServiceError ? `${error.code}${error.detail ? `: ${error.detail}` : ''}` : undefined
  console.error(`bailiwick: ${detail ?? (error instanceof Error ? error.message : String(error))}`)
  process.exitCode = 2
}
