/** The name of a Cedar entity: its type, with the namespace, and its id, both verbatim. */
export interface EntityName {
  type: string
  id: string
}

export const isAction = ({ type }: Pick<EntityName, 'type'>): boolean => type === 'Action' || type.endsWith('::Action')
