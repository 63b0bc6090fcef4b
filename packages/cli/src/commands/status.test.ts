import { emptyRoot, signCheckpoint } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { logKey } from '../log.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const checkpoint = (key = logKey()) =>
  signCheckpoint({ origin: 'log.example/cli', size: 1234, root: emptyRoot(), extensions: [] }, key)

const requests = ['pending', 'approved', 'expired'].map((state) => ({
  id: `req_${state}`,
  state,
  kind: 'access',
  from: 'spiffe://bailiwick.local/agent/a/i1',
  received_at: null,
  expires_at: null,
  endorsements: 0,
}))

async function status(
  ready: { status: number; body: unknown },
  note: string | undefined,
  { more = [], points = [] }: { more?: string[]; points?: string[] } = {},
) {
  using folder = temporaryFolder()
  installation(folder)
  await using _ = await operatorAt(folder.path, ({ path }) => {
    if (path === '/readyz') return ready
    if (path === '/operator/points') return { body: { without_instance: points } }
    if (path === '/log/checkpoint') return note === undefined ? { status: 404, body: {} } : { body: note }
    return { body: path === '/operator/registry' ? { enrolled: false } : { requests } }
  })
  return await bailiwick(['status', '--data', folder.path, ...more])
}

const ready = { status: 200, body: { status: 'ready' } }

it('says that all is well, and how long the log is', async () => {
  const { code, out } = await status(ready, checkpoint())
  expect(code).toBe(0)
  expect(out.split('\n')).toEqual([
    'ins_0123456789abcdef0123 at http://localhost:8420 (SINGLE OPERATOR)',
    '  ready     yes',
    '  enrolled  nobody yet: open the invitation',
    '  requests  1 pending',
    '  evidence  1,234 entries',
  ])
})

it('says with 1 what is not ready', async () => {
  const body = { code: 'service_unready', detail: 'pdp-fresh: no head; evidence-lag: 10 s' }
  const { code, out } = await status({ status: 503, body }, undefined, { more: ['--json'] })
  expect(code).toBe(1)
  expect(JSON.parse(out)).toMatchObject({
    ready: false,
    failing: ['pdp-fresh: no head', 'evidence-lag: 10 s'],
    log_size: null,
    points_without_instance: [],
  })
})

it('names the enforcement points that state no instance, each of which must be one process (V1)', async () => {
  const points = ['erp-gateway', 'invoices-api']
  const { code, out } = await status(ready, checkpoint(), { points })
  expect(code).toBe(0)
  for (const point of points) expect(out).toContain(`  point     ${point} states no instance: run it as ONE process`)
  const { out: json } = await status(ready, checkpoint(), { more: ['--json'], points })
  expect(JSON.parse(json)).toMatchObject({ points_without_instance: points })
})

it('does not count entries by a checkpoint that another key signed', async () => {
  const { out } = await status(ready, checkpoint(logKey('log.example/cli', 2)))
  expect(out).toContain('NOT signed by this log (signature_missing)')
})

it('cannot run where nothing runs', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const { code, err } = await bailiwick(['status', '--data', folder.path])
  expect(code).toBe(2)
  expect(err).toContain('is bailiwick serve running?')
})
