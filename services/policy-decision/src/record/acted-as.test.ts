import { expect, it } from 'vitest'
import { actedAs, actedBetween } from './acted-as.ts'

it('who acts under a delegation is named by both, or not at all', () => {
  const acting = (act: object | undefined, delegation: string | undefined) =>
    actedAs({ ...(act ? { act } : {}), grant: { ...(delegation ? { delegation } : {}) } } as never)
  expect(acting({ sub: 'sub' }, 'dlg_1')).toEqual({ delegation_id: 'dlg_1', sub_agent: 'sub' })
  expect(acting(undefined, 'dlg_1')).toEqual({})
  expect(acting({ sub: 'sub' }, undefined)).toEqual({})
})

it('lists all agents between the grant’s agent and the acting one, without these two, the first delegate first', () => {
  const between = (act?: object) => actedBetween({ ...(act ? { act } : {}) } as never)
  expect(between()).toStrictEqual({})
  expect(between({ sub: 'who acts' })).toStrictEqual({})
  expect(between({ sub: 'who acts', act: { sub: 'b', act: { sub: 'a' } } })).toStrictEqual({ between: ['a', 'b'] })
})
