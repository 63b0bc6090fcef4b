import { guessedLabel } from '@bailiwick/contracts'
import { isObject, type JsonObject } from '@bailiwick/mcp'

/** What a tool may do, as a guess. A person checks it: nothing here was tried. */
export interface Guess {
  labels: string[]
  /** Why, in words for that person. */
  why: string[]
  /** The arguments that seem to say what a call costs. */
  cost?: { amount: string; currency: string }
}

const words: readonly (readonly [labels: readonly string[], words: string])[] = [
  [
    ['reads_private'],
    'get list read search find fetch query select show describe view count lookup check status inspect',
  ],
  [['reads_private'], 'export download open load dump print head tail stat tree info retrieve summarize'],
  [['reads_untrusted', 'external_send'], 'fetch browse crawl scrape navigate url http https web website internet'],
  [['reads_untrusted'], 'inbox email mail message comment feed'],
  [['writes'], 'create add new make update set write edit modify change patch put insert upsert save append replace'],
  [['writes'], 'move rename copy upload import adjust assign merge commit approve close schedule book register mkdir'],
  [['writes'], 'enable disable start stop restart deploy install configure grant apply click type fill press submit'],
  [
    ['writes', 'external_send'],
    'send email mail notify post publish share tweet reply forward invite push sync call webhook',
  ],
  [['writes', 'external_send'], 'pay transfer refund charge order buy purchase checkout withdraw'],
  [
    ['writes', 'destructive'],
    'delete remove drop destroy purge truncate clear wipe erase kill terminate reset revoke cancel',
  ],
  [['writes', 'destructive'], 'uninstall archive overwrite force unlink rm'],
  [
    ['writes', 'destructive', 'external_send', 'reads_private', 'reads_untrusted'],
    'exec execute run eval shell bash command script sql code',
  ],
]

const byWord = new Map<string, Set<string>>()
for (const [labels, text] of words)
  for (const word of text.split(' ')) byWord.set(word, new Set([...(byWord.get(word) ?? []), ...labels]))

/**
 * Labels from the words of a tool's name, and from the annotations that its server wrote. The server is not trusted: an annotation can add
 * labels and never removes one. If neither says anything, the tool is `unlabelled`, which the starter policies deny.
 */
export function guessLabels(tool: JsonObject): Guess {
  const labels = new Set<string>()
  const why: string[] = []
  const take = (more: Iterable<string>, reason: string) => {
    for (const label of more) labels.add(label)
    why.push(reason)
  }
  for (const word of wordsOf(String(tool.name ?? ''))) {
    const more = byWord.get(word)
    if (more !== undefined) take(more, `the name says "${word}"`)
  }
  const hints = isObject(tool.annotations) ? tool.annotations : {}
  if (hints.destructiveHint === true) take(['writes', 'destructive'], 'destructiveHint')
  if (hints.readOnlyHint === false) take(['writes'], 'readOnlyHint is false')
  if (hints.openWorldHint === true) take(['reads_untrusted', 'external_send'], 'openWorldHint')
  if (labels.size === 0) {
    labels.add('unlabelled')
    why.push('neither the name nor the annotations say what it does')
  } else if (hints.readOnlyHint === true && labels.has('writes'))
    why.push('although readOnlyHint says that it only reads')
  const cost = guessCost(tool.inputSchema)
  return { labels: [...[...labels].sort(), guessedLabel], why, ...(cost === undefined ? {} : { cost }) }
}

/** `getUser_list` has the words get, user, list. */
const wordsOf = (name: string): string[] => [
  ...new Set(
    name
      .slice(0, 200)
      .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
      .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1 $2')
      .toLowerCase()
      .split(/[^a-z]+/)
      .filter((word) => word !== '')
      .flatMap((word) => (word.endsWith('s') && !byWord.has(word) ? [word.slice(0, -1)] : [word])),
  ),
]

const amounts = /^(amount|total|price|cost|sum)(_?(value|cents|minor|amount))?$/i
const currencies = /^currency(_?code)?$/i

/** Only if exactly one argument can be the amount, and exactly one the currency: a wrong pair would let calls cost nothing. */
function guessCost(schema: unknown): Guess['cost'] {
  const found = argumentsOf(schema, '', 0)
  const [amount, ...otherAmounts] = found.filter(({ name, type }) => amounts.test(name) && type !== 'object')
  const [currency, ...otherCurrencies] = found.filter(({ name, type }) => currencies.test(name) && type === 'string')
  if (amount === undefined || currency === undefined || otherAmounts.length + otherCurrencies.length > 0)
    return undefined
  return { amount: amount.pointer, currency: currency.pointer }
}

interface Argument {
  name: string
  pointer: string
  type: unknown
}

const deepest = 3
const longestPointer = 256

function argumentsOf(schema: unknown, at: string, depth: number): Argument[] {
  const properties = isObject(schema) && isObject(schema.properties) ? schema.properties : {}
  return Object.entries(properties).flatMap(([name, described]) => {
    const pointer = `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
    if (!isObject(described) || pointer.length > longestPointer) return []
    const inside = depth < deepest ? argumentsOf(described, pointer, depth + 1) : []
    return [{ name, pointer, type: described.type }, ...inside]
  })
}
