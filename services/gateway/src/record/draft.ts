import { Document, isScalar } from 'yaml'

/** An entry of `session` in gateway.yaml, with one page as an example of an operation. */
export interface Draft {
  readonly url: string
  readonly private?: true
  readonly login: {
    readonly page: string
    readonly form?: string
    readonly fields: Readonly<Record<string, string>>
    readonly success: { readonly cookie?: string; readonly page: string; readonly shows?: string }
  }
  readonly logout: string
  readonly token?: Readonly<Record<string, string>> | undefined
  readonly lost?: { readonly status?: readonly number[]; readonly paths?: readonly string[] } | undefined
  readonly closed?: readonly string[]
  readonly operations: { readonly start: { readonly request: string } }
}

/** A member of the draft that may be wrong. */
export interface Guess {
  readonly path: readonly string[]
  readonly why: string
}

/** The draft as gateway.yaml has it, with a comment at each guess. */
export function draftText(name: string, { operations, ...recipe }: Draft, guesses: readonly Guess[]): string {
  const document = new Document({ session: { [name]: { ...recipe, operations } } })
  for (const { path, why } of guesses) {
    const at = path.map((each) => (/^\d+$/.test(each) ? Number(each) : each))
    const node = document.getIn(['session', name, ...at], true)
    if (isScalar(node)) node.comment = ` guessed: ${why}`
  }
  return document.toString({ lineWidth: 0 }).trimEnd()
}
