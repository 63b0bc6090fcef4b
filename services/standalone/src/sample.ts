import { join } from 'node:path'
import {
  generateKey,
  jcsHash,
  type KeyPurpose,
  keyFilePath,
  readKeyFile,
  type SigningKey,
  writeKeyFile,
} from '@bailiwick/credentials'
import type { InitialEntities } from '@bailiwick/installation'

const trustDomain = 'spiffe://bailiwick.local'
const folder = (data: string) => join(data, 'sample')

/** The sample world of a first start, of the demo and of tests: two agents with one owner, one tool server, one enforcement point. */
export const sample = {
  owner: 'owner',
  group: 'owners',
  agents: ['reconciler', 'forecaster'],
  instance: 'i1',
  enforcementPoint: 'invoices-api',
  toolServer: 'invoices',
  invoicesUrl: 'http://localhost:8430',
} as const

export const sampleAgentId = (name: string) => `${trustDomain}/agent/${name}`

const keyNames = {
  reconciler: 'agent',
  forecaster: 'agent',
  'point-caller': 'pep-caller',
  'point-outcome': 'outcome',
} as const satisfies Record<string, KeyPurpose>
type SampleKey = keyof typeof keyNames

/** A key of the sample world, which `sampleEntities` made. */
export function sampleKey<N extends SampleKey>(data: string, name: N): SigningKey<(typeof keyNames)[N]> {
  return readKeyFile(folder(data), name, keyNames[name])
}

/** The path of that key's file. */
export const sampleKeyFile = (data: string, name: SampleKey): string => keyFilePath(folder(data), name)

/** Makes the sample world's keys in `<data>/sample`, and returns the registry entries that name them. */
export function sampleEntities(data: string, invoicesUrl: string = sample.invoicesUrl): InitialEntities {
  const make = (name: SampleKey) => {
    const key = generateKey(keyNames[name])
    writeKeyFile(folder(data), name, key)
    return key.publicJwk
  }
  const agent = (name: (typeof sample.agents)[number], label: string) => ({
    type: 'agent' as const,
    value: {
      id: sampleAgentId(name),
      name: label,
      owner: sample.owner,
      attestor: { kind: 'registered_key' as const, keys: [{ instance: sample.instance, jwk: make(name) }] },
      labels: ['sample'],
      proactive_requests: true,
    },
  })
  const tools = {
    read: { labels: ['reads_private'] },
    adjust: { labels: ['writes'], cost: { amount: '/amount', currency: '/currency' } },
    delete: { labels: ['destructive'] },
  }
  return [
    agent('reconciler', 'Invoice reconciler'),
    agent('forecaster', 'Cash forecaster'),
    {
      type: 'tool-server',
      value: { id: sample.toolServer, url: `${invoicesUrl}/`, manifest: jcsHash(tools), tools },
    },
    {
      type: 'enforcement-point',
      value: {
        id: sample.enforcementPoint,
        caller_jwk: make('point-caller'),
        outcome_jwk: make('point-outcome'),
        resources: Object.keys(tools).map((name) => ({ type: 'tool', id: `${sample.toolServer}/${name}` })),
        base_urls: [invoicesUrl],
        may_release: true,
      },
    },
    {
      type: 'rule',
      value: {
        id: 'tasks',
        order: 100,
        match: {},
        approvers: { group: sample.group, quorum: 1 },
        owner_may_approve: true,
        modes: ['per_action', 'window'],
        max_window_seconds: 8 * 3600,
        narrowing: true,
        arguments: 'required',
      },
    },
    {
      type: 'rule',
      value: {
        id: 'registry',
        order: 10,
        match: { actions: ['registry/change'] },
        approvers: { group: sample.group, quorum: 1 },
        owner_may_approve: true,
        modes: ['per_action'],
        max_window_seconds: 3600,
        narrowing: false,
      },
    },
  ]
}

/** The sample agent's ask: read invoices and adjust them up to a limit, at most ten times. */
export const sampleAuthority = {
  type: 'bailiwick_task',
  task: 'reconcile-q3-invoices',
  permissions: [
    { actions: ['tools/call'], resource: { type: 'tool', id: `${sample.toolServer}/read` } },
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: `${sample.toolServer}/adjust` },
      where: { '/amount': { max: '500' }, '/currency': { in: ['EUR'] } },
      cost: { amount: '/amount', currency: '/currency' },
      max_uses: 10,
    },
  ],
  budget: { calls: 200, cost: { EUR: '2000.00' } },
  max_depth: 0,
  max_children: 0,
} as const
