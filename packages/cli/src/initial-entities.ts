import { ServiceError } from '@bailiwick/errors'
import type { InitialEntities } from '@bailiwick/installation'
import { readRegistryFile } from './registry-file.ts'

/**
 * The initial entities that a registry file gives an installation. Throws `config_invalid` for entities that only an enrolled approver can
 * add.
 */
export function initialEntities(file: string): InitialEntities {
  const { entities: changes, groups } = readRegistryFile(file)
  if (groups.length > 0)
    throw new ServiceError(
      'config_invalid',
      '--registry: groups: no approver is enrolled yet: the invitation does that',
    )
  const [person] = changes.filter((change) => change.person !== undefined)
  if (person !== undefined)
    throw new ServiceError('config_invalid', `--registry: ${person.id} is not enrolled yet: the invitation does that`)
  const [retired] = changes.filter(({ value }) => value === undefined)
  if (retired !== undefined)
    throw new ServiceError('config_invalid', `--registry: there is no ${retired.type} ${retired.id} to retire yet`)
  return changes as InitialEntities
}
