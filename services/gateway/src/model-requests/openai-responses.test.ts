import { describe, expect, it } from 'vitest'
import { entryOf, request } from '../models/entry.fixture.ts'
import { modelAction } from './model-request.ts'

const action = (...tools: object[]) =>
  modelAction(
    'acme',
    entryOf(),
    request('/v1/responses', { model: 'seeing', input: 'Hi', max_output_tokens: 50, tools }),
  )
const group = (...tools: object[]) => ({ type: 'namespace', name: 'mcp__tools', description: 'Tools.', tools })

describe('a namespace of tools', () => {
  it('counts as the tools in it: the group itself reaches nowhere', () => {
    const [own, custom] = [
      { type: 'function', name: 'f' },
      { type: 'custom', name: 'c' },
    ]
    expect(action(group(own, custom))).toMatchObject({
      name: 'model/invoke',
      properties: { outside: '', tools: 'custom,function' },
    })
    expect(action(group(own, { type: 'web_search' }))).toMatchObject({
      name: 'model/invoke-outside',
      properties: { outside: 'web_search', tools: 'function' },
    })
  })

  it.each<[what: string, tool: object, refused: string, detail: string]>([
    [
      'a server of tools in it',
      group({ type: 'mcp', server_url: 'https://evil.example' }),
      'model_outside_unpriced',
      'mcp',
    ],
    [
      'a server beside its tools',
      { ...group(), server_url: 'https://evil.example' },
      'model_member_refused',
      'tools.server_url',
    ],
    ['no list of tools', { type: 'namespace', name: 'n' }, 'model_request_malformed', 'tools.tools'],
  ])('is refused with %s', (_, tool, refused, detail) => {
    expect(action(tool)).toEqual({ refused, detail })
  })
})
