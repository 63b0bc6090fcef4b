import type { Told } from './told.ts'

/** An event that lost its place to another writer's has no effect for any reader: a search for ALLOWs must not find this one. */
export function withoutEffect(told: Told): Told {
  const { outcome: _, reserved: __, spent: ___, decision, ...others } = told.says
  const says: Told['says'] = decision === undefined ? others : { ...others, decision: 'VOID' }
  const nothing = {
    severity: 1,
    status: { id: 99, caption: 'Void' },
    message: `Without effect, another was first: ${told.message}`,
    says,
  } as const
  if (told.class !== 'api_activity') return { ...told, ...nothing }
  const { authorizations: ____, message_context: _____, ...body } = told.body
  const logged = { action_id: 3, action: 'Observed', disposition_id: 17, disposition: 'Logged' } as const
  return { ...told, ...nothing, body: { ...body, ...logged } }
}
