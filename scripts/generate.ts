// Writes what follows from declarations in code: schemas, AsyncAPI, Kafka's topics and ACLs, event vectors, the codes of the Python SDK, and the
// pages on events, errors, reasons, settings, metrics, log lines and sizing. `--check` writes nothing, names what is stale, and exits with 1 then. `--root DIR`: elsewhere.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { contractFiles, generatedFolders, generatedFrom, table } from '@bailiwick/contracts/generate'
import { type DenialReason, denialReasons, errorGroups, isRequestable, retrySecondsOf } from '@bailiwick/errors'
import { consoleFixes } from './console-fixes.ts'
import { pythonCodes } from './python-codes.ts'
import { logPage, metricsPage, settingsPage } from './reference-pages.ts'
import { sizingPage } from './sizing-page.ts'

const { values: options } = parseArgs({ options: { check: { type: 'boolean' }, root: { type: 'string' } } })
const sources = fileURLToPath(new URL('..', import.meta.url))
const root = options.root ?? sources

const errorTable = (kinds: (typeof errorGroups)[string]): string =>
  table(
    ['Code', 'Status', 'Again', 'Title', 'Usual cause', 'What to do'],
    Object.entries(kinds).map(([code, { status, retryable, title, cause, fix }]) => [
      `\`${code}\``,
      String(status),
      retryable ? 'yes' : 'no',
      title,
      cause,
      fix,
    ]),
  )

const errorsPage = `# Errors

${generatedFrom('packages/errors/src/kinds')}

A refusal over HTTP is a problem document (RFC 9457): \`type\` is \`urn:bailiwick:error:<code>\`, \`code\` repeats it, and \`detail\` says more where it can.
Codes are stable. *Again*: whether the same call, repeated, can succeed. OAuth endpoints use the error names of OAuth instead.
A decision that is DENY is no error: its reasons have [a page of their own](decision-reasons.md).

${Object.entries(errorGroups)
  .map(([group, kinds]) => `## ${group}\n\n${errorTable(kinds)}`)
  .join('\n\n')}
`

const reasons = Object.entries(denialReasons) as [DenialReason, (typeof denialReasons)[DenialReason]][]

const reasonsPage = `# Why a decision is DENY

${generatedFrom('packages/errors/src/denial-reasons.ts')}

In the order in which a decision is made; the first refusal wins. Codes are stable. *Step*: of DESIGN §7.4. *Request*: the agent may
answer the denial with an access request. *Retry*: the reason passes by itself, or once the same call is made again with a newer proof,
credential or call id; how long to wait before that.

${table(
  ['Step', 'Reason', 'What to do', 'Request', 'Retry'],
  reasons.map(([reason, { step, remedy }]) => {
    const seconds = retrySecondsOf(reason)
    return [
      String(step),
      `\`${reason}\``,
      remedy,
      isRequestable(reason) ? 'yes' : '',
      seconds === undefined ? '' : `${seconds} s`,
    ]
  }),
)}
`

const files = new Map([
  ...contractFiles(),
  ['docs/reference/errors.md', errorsPage],
  ['docs/reference/decision-reasons.md', reasonsPage],
  ['clients/python/src/bailiwick/_codes.py', pythonCodes],
  ['packages/console/src/fixes.ts', consoleFixes],
  ['docs/reference/settings.md', await settingsPage()],
  ['docs/reference/metrics.md', metricsPage()],
  ['docs/reference/log-lines.md', logPage()],
  ['docs/operate/sizing.md', sizingPage(sources)],
])

const current = (path: string): string | undefined => {
  try {
    return readFileSync(join(root, path), 'utf8')
  } catch {
    return undefined
  }
}

function filesBelow(folder: string): string[] {
  try {
    const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(root, '/').length))
  } catch {
    return []
  }
}

const stale = [...files].filter(([path, text]) => current(path) !== text).map(([path]) => path)
const leftOver = generatedFolders.flatMap(filesBelow).filter((path) => !files.has(path))

if (options.check === true) {
  for (const path of stale) console.error(`stale: ${path}`)
  for (const path of leftOver) console.error(`left over: ${path}`)
  if (stale.length + leftOver.length > 0) {
    console.error('Run `npm run generate`.')
    process.exitCode = 1
  }
} else {
  for (const path of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), files.get(path) ?? '')
  }
  for (const path of leftOver) rmSync(join(root, path))
}
