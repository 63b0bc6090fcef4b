/** What policies say, by file. */
export type PolicyFiles = Readonly<Record<string, string>>

interface FoundPolicy {
  effect: 'permit' | 'forbid'
  text: string
  /** It obliges to something, which goes with it. */
  obliges: boolean
}

/**
 * Which policies come, go or change between two sets, by their `@id`, and whether more may be allowed after it. A policy is found by its
 * text and not judged: a permit that comes or changes, a forbid that goes or changes, and a permit that goes with what it obliged to, may
 * allow more.
 */
export function policyChanges(before: PolicyFiles, after: PolicyFiles): { said: string[]; mayAllowMore: boolean } {
  const [then, now] = [policiesIn(before), policiesIn(after)]
  const said: string[] = []
  let mayAllowMore = false
  for (const name of new Set([...then.keys(), ...now.keys()])) {
    const [old, fresh] = [then.get(name), now.get(name)]
    if (old?.text === fresh?.text) continue
    const { effect } = (fresh ?? old) as FoundPolicy
    const verb = fresh === undefined ? 'removes' : old === undefined ? 'adds' : 'changes'
    said.push(`${verb} the ${effect} ${name}`)
    mayAllowMore ||= fresh?.effect === 'permit' || old?.effect === 'forbid' || old?.obliges === true
  }
  // A schema or an entity file says what policies mean, so it may allow more as well.
  const others = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((file) => !file.endsWith('.cedar') && before[file] !== after[file])
    .map((file) => `changes the file ${JSON.stringify(file)}`)
  return { said: [...said, ...others], mayAllowMore: mayAllowMore || others.length > 0 }
}

function policiesIn(files: PolicyFiles): Map<string, FoundPolicy> {
  const found = new Map<string, FoundPolicy>()
  for (const [file, text] of Object.entries(files)) {
    if (!file.endsWith('.cedar')) continue
    for (const [n, words] of statementsOf(text).entries()) {
      // `@permit("…")` is an annotation, whatever its name.
      const at = words.findIndex((word, k) => (word === 'permit' || word === 'forbid') && words[k - 1] !== '@')
      const effect = words[at]
      if (effect !== 'permit' && effect !== 'forbid') continue
      const annotations = words.slice(0, at)
      const id = annotations[annotations.indexOf('id') + 2]
      const isNamed = annotations[annotations.indexOf('id') - 1] === '@' && id?.startsWith('"') === true
      const obliges = annotations.filter((word) => word === '@').length > (isNamed ? 1 : 0)
      let name = isNamed ? id : JSON.stringify(`${file}, policy ${n + 1}`)
      while (found.has(name)) name = `${name} again`
      found.set(name, { effect, text: words.join(' '), obliges })
    }
  }
  return found
}

/** Each policy as its words, without comments and white space. Quoted text is one word, whatever stands in it. */
function statementsOf(text: string): string[][] {
  const statements: string[][] = [[]]
  for (const [word] of text.matchAll(/\/\/[^\n]*|"(?:[^"\\]|\\[\s\S])*"|[A-Za-z0-9_]+|[^\s]/g)) {
    if (word.startsWith('//')) continue
    if (word === ';') statements.push([])
    else statements.at(-1)?.push(word)
  }
  return statements
}
