import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

// npm run -s prose [-- --list AREA | --lower]
// Counts the worst habits of our English (CONTRIBUTING, "Prose") in each area, and fails when there are more than prose.json allows. A change
// that removes some lowers the limit with `--lower`; no change raises it.

const root = join(import.meta.dirname, '..')
const limitsFile = join(import.meta.dirname, 'prose.json')
const areas = ['docs', 'infra', 'packages', 'services', 'test'] as const
type Area = (typeof areas)[number] | 'else'

const habits = /\b(whoever|nobody|somebody|everybody|whatever|of before|but for|is told|are told|shall|none is)\b/gi
const prose = /\.(md|ts|tsx|mjs|lua|py|go|sh|ya?ml)$/
/** Generated, or about words themselves. */
const left =
  /(^|\/)(generated|dist)\/|^scripts\/prose|^(CHANGELOG|CONTRIBUTING)\.md$|^test\/runs\/|^docs\/reference\/((errors|log-lines|metrics|settings)\.md|events\/types\.md)/

interface Hit {
  file: string
  line: number
  text: string
}

const hits = new Map<Area, Hit[]>([...areas, 'else' as const].map((area) => [area, []]))
for (const file of execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n')) {
  if (!prose.test(file) || left.test(file)) continue
  const area = areas.find((each) => file.startsWith(`${each}/`)) ?? 'else'
  for (const [n, text] of readFileSync(join(root, file), 'utf8').split('\n').entries())
    for (const _ of text.matchAll(habits)) hits.get(area)?.push({ file, line: n + 1, text: text.trim() })
}

const limits = JSON.parse(readFileSync(limitsFile, 'utf8')) as Record<Area, number>
const [option, wanted] = process.argv.slice(2)
if (option === '--list')
  for (const { file, line, text } of hits.get(wanted as Area) ?? []) console.log(`${file}:${line}: ${text}`)
else if (option === '--lower') {
  const lowered = Object.fromEntries([...hits].map(([area, { length }]) => [area, Math.min(length, limits[area])]))
  writeFileSync(limitsFile, `${JSON.stringify(lowered, undefined, 2)}\n`)
} else
  for (const [area, { length }] of hits)
    if (length > limits[area]) {
      console.error(
        `prose: ${area} has ${length} of the words and turns that CONTRIBUTING ("Prose") asks you not to use, ${limits[area]} are allowed: npm run -s prose -- --list ${area}`,
      )
      process.exitCode = 1
    }
