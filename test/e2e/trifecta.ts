import { join } from 'node:path'
import { jcsHash } from '@bailiwick/credentials'
import { readPolicyFiles } from '@bailiwick/installation'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import type { WorldOptions } from './world.ts'

const tools = {
  read: { labels: ['reads_private'] },
  fetch: { labels: ['reads_untrusted'] },
  send: { labels: ['external_send'] },
  other: { labels: ['writes'] },
}
const names = Object.keys(tools)

/** Makes leaking possible with one tool for each part, under the starter policies. */
export const trifecta = {
  authority: {
    ...sampleAuthority,
    permissions: names.map((name) => ({
      actions: ['tools/call'],
      resource: { type: 'tool', id: `${sample.toolServer}/${name}` },
    })),
  },
  /** The same with one more policy file. */
  policies: (more = '') => {
    const files = new Map(readPolicyFiles(join(import.meta.dirname, '../../policies')))
    return more === '' ? files : files.set('z-test.cedar', Buffer.from(more))
  },
}

export const withTools: NonNullable<WorldOptions['entities']> = (entities) =>
  entities.map((entity) => {
    if (entity.type === 'tool-server')
      return { type: 'tool-server', value: { ...entity.value, tools, manifest: jcsHash(tools) } }
    if (entity.type !== 'enforcement-point') return entity
    const resources = [...names, 'never_granted'].map((name) => ({ type: 'tool', id: `${sample.toolServer}/${name}` }))
    return { type: 'enforcement-point', value: { ...entity.value, resources } }
  })
