/** The text of policies, by file. */
export type PolicyFiles = Readonly<Record<string, string>>

interface FoundPolicy {
  effect: 'permit' | 'forbid'
  text: string
  /** The policy carries an obligation, which is lost if the policy goes. */
  obliges: boolean
}

/**
 * Which policies are added, removed or changed between two sets, by their `@id`, and whether the new set may allow more. Policies are
 * compared by their text and not evaluated: an added or changed permit, a removed or changed forbid, and a removed permit together with its
 * obligations may allow more.
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
  // A schema or an entity file determines what policies mean, so changing it may also allow more.
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
      // `@permit("…")` is an annotation, despite its name.
      const at = words.findIndex((word, k) => (word === 'permit' || word === 'forbid') && words[k - 1] !== '@')
      const effect = words[at]
      if (effect !== 'permit' && effect !== 'forbid') continue
      const annotations = words.slice(0, at)
      const id = annotations[annotations.indexOf('id') + 2]
      const isNamed = annotations[annotations.indexOf('id') - 1] === '@' && id?.startsWith('"') === true
      const obliges = annotations.filter((word) => word === '@').length > (isNamed ? 1 : 0)
      const place = JSON.stringify(`${file}, policy ${n + 1}`)
      let name = isNamed ? id : place
      // The place is unique, so this ends at once, however many have one `@id`.
      for (let again = 2; found.has(name); again++) name = `${place} (${again})`
      found.set(name, { effect, text: words.join(' '), obliges })
    }
  }
  return found
}

/**
 * Each policy as its tokens, without comments and white space. Quoted text is one token, including white space and comment marks. Text without
 * its closing quote goes to the end: an expression that failed there would be tried again at each of its quotes.
 */
function statementsOf(text: string): string[][] {
  const statements: string[][] = [[]]
  for (const [word] of text.matchAll(/\/\/[^\n]*|"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)|[A-Za-z0-9_]+|[^\s]/g)) {
    if (word.startsWith('//')) continue
    if (word === ';') statements.push([])
    else statements.at(-1)?.push(word)
  }
  return statements
}
