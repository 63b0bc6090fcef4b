import { lookup, namedPointers } from '@bailiwick/authority'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import { isScalar, type Levels, type Scalar } from '../steps/authority.ts'

/** Events hold only the arguments that an authority names, so that an auditor can check them. All others are only in the digest. */
export function namedArguments(
  levels: Levels,
  permissions: readonly number[],
  { action }: EvaluationRequest,
): { arguments?: Record<string, Scalar> } {
  const pointers = new Set(
    levels.flatMap(({ holder }, n) => {
      const permission = holder.authority.permissions[permissions[n] ?? -1]
      return permission === undefined ? [] : namedPointers(permission)
    }),
  )
  const named = [...pointers].map((pointer): [string, unknown] => [pointer, lookup(action.properties, pointer)])
  const scalars = named.filter((entry): entry is [string, Scalar] => isScalar(entry[1]))
  return scalars.length === 0 ? {} : { arguments: Object.fromEntries(scalars) }
}
