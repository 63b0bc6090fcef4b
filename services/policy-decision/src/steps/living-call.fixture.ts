import { type emptySpend, RevocationState } from '@bailiwick/projection'

export const agent = 'spiffe://example.org/agent/a/i1'
export const now = Date.parse('2026-07-01T12:00:00.000Z')
export const spell = (ms: number) => new Date(ms).toISOString()
const read = { type: 'tool', id: 'erp/read' }

/** A living call, and as much of its surroundings as the steps of a decision read. Each test changes one thing. */
export function world() {
  const grant = {
    id: 'grt_1',
    agent,
    as_of: 0,
    mode: 'window',
    instance_key: 'jkt',
    statement_hash: 'h',
    not_before: spell(now - 60_000),
    not_after: spell(now + 60_000),
    assertions: [{ credential_id: 'passkey' }],
    authority: {
      type: 'bailiwick_task',
      task: 't',
      permissions: [{ actions: ['tools/call'], resource: read }],
    },
    statement: { agent, manifests: { erp: 'm1' } as Record<string, string> },
  }
  const intent = {
    kid: 'kid',
    grant_id: 'grt_1',
    jkt: 'jkt',
    agent,
    audience: ['https://pep.example/'],
    issued_at: spell(now - 1000),
    expires_at: spell(now + 30_000),
    moves: 0,
  }
  const tree = {
    id: 'grt_1',
    grant,
    state: 'active',
    createdAt: now - 60_000,
    moves: 0,
    heldBefore: [],
    delegations: new Map(),
    credentials: new Map([['crd_1', intent]]),
  }
  const token = {
    sub: agent,
    client_id: agent,
    aud: 'https://pep.example/',
    jti: 'crd_1',
    iat: (now - 1000) / 1000,
    exp: (now + 30_000) / 1000,
    cnf: { jkt: 'jkt' },
    grant: { id: 'grt_1', root: 'grt_1', statement_hash: 'h', as_of: 0 } as Record<string, unknown>,
  }
  const servers: Record<string, { manifest: string }> = { erp: { manifest: 'm1' } }
  const approvers = new Map([['eve', { id: 'eve', credentials: [{ credential_id: 'passkey' }] }]])
  const instances = new Map([[agent, { agent: { id: 'spiffe://example.org/agent/a' } }]])
  const spends = new Map<string, ReturnType<typeof emptySpend>>()
  const pdp = {
    fresh: true,
    trust: { installation: 'ins_1' },
    clock: { now: () => now },
    approvals: { of: async (): Promise<object> => ({ ok: true, approverIds: ['eve'] }) },
    stepUps: { of: async () => [] },
    projection: {
      fresh: (): boolean => pdp.fresh,
      until: async (find: () => unknown) => find(),
      ledger: {
        grants: { trees: new Map([['grt_1', tree]]) },
        decisions: { trees: spends },
        revocations: new RevocationState({ base: true }),
        registry: {
          view: () => ({ approvers }),
          instance: (id: string) => instances.get(id),
          get: (kind: string, id: string) => (kind === 'tool-server' ? servers[id] : undefined),
        },
      },
    },
  }
  const revoke = (kind: string, target: string) =>
    pdp.projection.ledger.revocations.apply({
      version: 1,
      data: { revocation_id: 'rev_1', kind, target, as_of: 9 },
    } as never)
  const call = { observed: {} as { manifest?: string }, subject: { type: 'agent', id: agent }, resource: read }
  const standing = { tree, grant, approverIds: ['eve'], stepUps: [] }
  return { pdp, tree, grant, intent, token, servers, approvers, instances, spends, revoke, call, standing, kid: 'kid' }
}
export type World = ReturnType<typeof world>
