import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'

type Expression = Readonly<Record<string, unknown>>

/** Whether the conditions that partial evaluation left open in a policy can have this result; true if that cannot be determined. */
export function mayApply(residual: PolicyJson | undefined, applies: boolean): boolean {
  if (residual === undefined) return true
  const may = ({ kind, body }: PolicyJson['conditions'][number], so: boolean) =>
    mayBe(body as unknown as Expression, (kind === 'when') === so)
  return applies
    ? residual.conditions.every((condition) => may(condition, true))
    : residual.conditions.some((condition) => may(condition, false))
}

function mayBe(expression: Expression, value: boolean): boolean {
  const [[operator, operand] = []] = Object.entries(expression)
  if (operator === 'Value') return operand === value
  const { arg, left, right, if: condition, then, else: otherwise } = operand as Record<string, Expression>
  if (operator === '!' && arg) return mayBe(arg, !value)
  if ((operator === '&&' || operator === '||') && left && right) {
    // The value of the left side with which the right side is evaluated; otherwise the left side is the result.
    const goesOn = operator === '&&'
    return (value !== goesOn && mayBe(left, value)) || (mayBe(left, goesOn) && mayBe(right, value))
  }
  if (operator === 'if-then-else' && condition && then && otherwise)
    return (mayBe(condition, true) && mayBe(then, value)) || (mayBe(condition, false) && mayBe(otherwise, value))
  return true
}
