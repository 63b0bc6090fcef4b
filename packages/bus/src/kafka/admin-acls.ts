/** One rule of the broker's authoriser, with the names of `org.apache.kafka.common.acl`. `kafkaAcls()` of the contracts makes them. */
export interface AclRule {
  /** `User:<name>`, or `User:*`. */
  readonly principal: string
  readonly host: string
  readonly permissionType: string
  readonly operation: string
  readonly resourceType: string
  readonly resourcePatternType: string
  readonly resourceName: string
}

export interface AclDifferences {
  /** Declared but missing on the broker. */
  readonly missing: AclRule[]
  /** On the broker but not declared, and only about our resources: can be deleted. */
  readonly foreign: AclRule[]
  /** On the broker but not declared, and wider than our resources, so that others may depend on it: a person must decide. */
  readonly wider: AclRule[]
}

/**
 * How the broker's rules differ from the declared ones, as far as they matter here: rules about our topics and groups,
 * for any user, and rules for our users, about any resource. A topic has a single writer only while no other user has a rule for it,
 * because an authoriser adds rules up.
 */
export function aclDifferences(declared: readonly AclRule[], present: readonly AclRule[]): AclDifferences {
  const wanted = new Set(declared.map(textOf))
  const have = new Set(present.map(textOf))
  const principals = new Set(declared.map(({ principal }) => principal))
  const foreign: AclRule[] = []
  const wider: AclRule[] = []
  for (const rule of present) {
    if (wanted.has(textOf(rule))) continue
    if (principals.has(rule.principal) || declared.some((ours) => within(rule, ours))) foreign.push(rule)
    else if (rule.principal === ALL_USERS && rule.resourceType === 'CLUSTER') wider.push(rule)
    else if (declared.some((ours) => touches(rule, ours))) wider.push(rule)
  }
  return { missing: declared.filter((rule) => !have.has(textOf(rule))), foreign, wider }
}

/** A rule in readable form, on one line. */
export function aclText(rule: AclRule): string {
  const pattern = rule.resourcePatternType === 'PREFIXED' ? `${rule.resourceName}…` : rule.resourceName
  const from = rule.host === '*' ? '' : ` from ${rule.host}`
  return `${rule.permissionType} ${rule.principal}${from} ${rule.operation} on ${rule.resourceType} ${pattern}`
}

export function aclLines({ missing, foreign, wider }: AclDifferences): string[] {
  return [
    ...missing.map((rule) => `missing: ${aclText(rule)}`),
    ...foreign.map((rule) => `not declared: ${aclText(rule)}`),
    ...wider.map((rule) => `not declared, and wider than Bailiwick: ${aclText(rule)}`),
  ]
}

const ALL_USERS = 'User:*'

/** Whether everything that `rule` is about belongs to the declared resource. */
function within(rule: AclRule, ours: AclRule): boolean {
  if (rule.resourceType !== ours.resourceType || isWildcard(rule)) return false
  if (ours.resourcePatternType === 'PREFIXED') return rule.resourceName.startsWith(ours.resourceName)
  return rule.resourcePatternType === 'LITERAL' && rule.resourceName === ours.resourceName
}

/** Whether something that `rule` is about belongs to the declared resource. */
function touches(rule: AclRule, ours: AclRule): boolean {
  if (rule.resourceType !== ours.resourceType) return false
  if (isWildcard(rule) || within(rule, ours)) return true
  return rule.resourcePatternType === 'PREFIXED' && ours.resourceName.startsWith(rule.resourceName)
}

/** The authoriser writes "all of this type" as the literal `*`. */
const isWildcard = ({ resourcePatternType, resourceName }: AclRule) =>
  resourcePatternType === 'LITERAL' && resourceName === '*'

const textOf = (rule: AclRule) =>
  JSON.stringify([
    rule.principal,
    rule.host,
    rule.permissionType,
    rule.operation,
    rule.resourceType,
    rule.resourcePatternType,
    rule.resourceName,
  ])
