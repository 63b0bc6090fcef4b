export type TokenKind = 'comment' | 'string' | 'annotation' | 'effect' | 'word' | 'number' | 'plain'
export interface Token {
  kind: TokenKind
  text: string
}

const effects = new Set(['permit', 'forbid'])
const words = new Set(
  (
    'when unless principal action resource context in has like is if then else true false ' +
    'entity type namespace appliesTo enum tags Set Long String Bool decimal ipaddr datetime duration'
  ).split(' '),
)
const parts = /(\/\/.*)|("(?:[^"\\]|\\.)*"?)|(@[A-Za-z_]\w*)|([A-Za-z_]\w*)|(\d+)|(\s+|[^\sA-Za-z_\d"@/]+|[/@])/gy

/** The tokens of one line of Cedar, for its colours. Every character is in exactly one token. */
export function cedarTokens(line: string): Token[] {
  return [...line.matchAll(parts)].map(([text, comment, string, annotation, word, number]): Token => {
    if (comment !== undefined) return { kind: 'comment', text }
    if (string !== undefined) return { kind: 'string', text }
    if (annotation !== undefined) return { kind: 'annotation', text }
    if (word !== undefined) return { kind: effects.has(text) ? 'effect' : words.has(text) ? 'word' : 'plain', text }
    return { kind: number === undefined ? 'plain' : 'number', text }
  })
}

const unseen = /(?![\t\n])[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u

/** Characters that cannot be seen or that turn text around, by line: an editor shows them as nothing. */
export function unseenIn(text: string): { line: number; code: string }[] {
  return text.split('\n').flatMap((line, n) => {
    const found = unseen.exec(line)
    if (found === null) return []
    const code = (found[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
    return [{ line: n + 1, code: `U+${code}` }]
  })
}
