import {
  askCedar,
  type CedarAnswer,
  CompiledPolicies,
  type NotAnswered,
  type PolicyRequest,
  type PolicySet,
  type Preparsed,
  parsePolicySet,
  preparse,
  shapesOf,
  type Verdict,
} from '@bailiwick/policy'

/** One set in both engines. */
export interface Both {
  set: PolicySet
  compiled: CompiledPolicies
  cedar: Preparsed
}

/** Under one name for all: Cedar would keep each name for ever. */
const slot = 'compiled'

export function load(files: Readonly<Record<string, string>>): Both {
  const bytes = Object.entries(files).map(([name, text]): [string, Uint8Array] => [
    name,
    new TextEncoder().encode(text),
  ])
  const set = parsePolicySet(new Map(bytes))
  const shapes = set.schema === undefined ? undefined : shapesOf(set.schema)
  return { set, compiled: new CompiledPolicies(set.policies.values(), { shapes }), cedar: preparse(set, slot) }
}

/** `different`: the compiled engine answers otherwise than Cedar, or answers where Cedar does not. */
export type Comparison =
  | { outcome: 'same'; verdict: Verdict }
  | { outcome: 'not answered'; why: NotAnswered; byCedar: boolean }
  | { outcome: 'different'; compiled: Verdict; cedar: CedarAnswer }

export function compare({ compiled, cedar }: Both, request: PolicyRequest): Comparison {
  return compareWith(compiled.answer(request), askCedar(cedar, request))
}

function compareWith(answer: Verdict | NotAnswered, expected: CedarAnswer): Comparison {
  if (typeof answer === 'string') return { outcome: 'not answered', why: answer, byCedar: expected.ok }
  const isSame =
    expected.ok &&
    answer.decision === expected.decision &&
    isSameList(answer.reason, expected.reason) &&
    isSameList(
      answer.erred,
      expected.errors.map(({ policyId }) => policyId),
    )
  return isSame ? { outcome: 'same', verdict: answer } : { outcome: 'different', compiled: answer, cedar: expected }
}

const isSameList = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && a.every((id, n) => id === b[n])

/**
 * The same question to compiled policies that store the request's entities. The request changes one of them: its attributes are
 * given, its parents are those that are stored. undefined: there is no such entity.
 */
export function compareStored({ set, cedar }: Both, request: PolicyRequest, attrs: object): Comparison | undefined {
  const [changed, ...others] = request.entities ?? []
  if (changed === undefined) return undefined
  const shapes = set.schema === undefined ? undefined : shapesOf(set.schema)
  const stored = [...others, changed]
  const compiled = new CompiledPolicies(set.policies.values(), { shapes, stored })
  const given = { ...changed, attrs } as typeof changed
  const asked = (entities: typeof stored) => ({ ...request, entities })
  return compareWith(compiled.answer(asked([given])), askCedar(cedar, asked([...others, given])))
}
