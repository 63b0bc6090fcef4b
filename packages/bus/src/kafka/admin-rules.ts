import kafkajs, { type AclEntry, type DescribeAclResource } from 'kafkajs'
import type { AclRule } from './admin-acls.ts'

const {
  AclOperationTypes: operations,
  AclPermissionTypes: permissions,
  AclResourceTypes: resources,
  ResourcePatternTypes: patterns,
} = kafkajs

/** A rule in kafkajs's form. Throws `TypeError` for a name that Kafka does not have, so that no rule is sent as a different one. */
export const toEntry = (rule: AclRule): AclEntry => ({
  principal: rule.principal,
  host: rule.host,
  permissionType: member(permissions, rule.permissionType),
  operation: member(operations, rule.operation),
  resourceType: member(resources, rule.resourceType),
  resourcePatternType: member(patterns, rule.resourcePatternType),
  resourceName: rule.resourceName,
})

/** The rules that the broker returned. A value without a name in kafkajs keeps its number, so that it is visible and never matches. */
export const fromResources = (told: readonly DescribeAclResource[]): AclRule[] =>
  told.flatMap(({ acls, resourceType, resourcePatternType, resourceName }) =>
    acls.map(({ principal, host, operation, permissionType }) => ({
      principal,
      host,
      permissionType: nameOf(permissions, permissionType),
      operation: nameOf(operations, operation),
      resourceType: nameOf(resources, resourceType),
      resourcePatternType: nameOf(patterns, resourcePatternType),
      resourceName,
    })),
  )

/** A filter that matches every rule. */
export const everyRule = {
  resourceType: resources.ANY,
  resourcePatternType: patterns.ANY,
  operation: operations.ANY,
  permissionType: permissions.ANY,
}

function member<E extends Record<string, string | number>>(of: E, name: string): E[keyof E] {
  const value = Object.hasOwn(of, name) ? of[name as keyof E] : undefined
  if (typeof value !== 'number') throw new TypeError(`Kafka has no ${name}`)
  return value
}

function nameOf(of: Record<string, string | number>, value: number): string {
  return Object.keys(of).find((name) => of[name] === value) ?? String(value)
}
