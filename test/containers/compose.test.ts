import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { fileOutcomeStore } from '@bailiwick/pep'
import { sample, sampleAuthority, sampleEntities } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { aPerson, launch, type Person } from '../browser/browser.ts'
import { startInvoicesApi } from '../demo/invoices-api.ts'
import { ComposeProject, services } from './compose.ts'
import { type Engine, startEngine, startMillis } from './engine.ts'
import { onlyEngine } from './only-engine.ts'
import { usePartsInContainers } from './parts.ts'

const url = 'http://localhost:8420'
const first = 'is built, and all of it is healthy'

// Each of these goes on from where the one before it ended.
describe('docker-compose.yml on a container engine', () => {
  const opened = new AsyncDisposableStack()
  const data = mkdtempSync(join(tmpdir(), 'containers-'))
  let engine: Engine
  let project: ComposeProject
  let missing: string | undefined
  let isUp = false
  let trust: Parameters<typeof sampleAgent>[0]['trust']
  let olivia: Person

  beforeAll(async () => {
    opened.defer(() => rmSync(data, { recursive: true, force: true }))
    const started = await startEngine()
    if (typeof started === 'string') {
      missing = started
      return
    }
    engine = opened.use(started)
    project = new ComposeProject(engine.host)
    await project.down()
    opened.defer(() => project.down())
    const browser = opened.adopt(await launch(), (one) => one.close())
    olivia = await aPerson(browser)
  }, startMillis)
  beforeEach(({ skip, task }) => {
    skip(missing !== undefined, `MISSING a container engine: ${missing}`)
    if (!isUp && task.name !== first) throw new Error('it was never healthy')
  })
  afterAll(() => opened.disposeAsync(), 300_000)

  it(first, async () => {
    await project.up()
    await project.allHealthy()
    trust = JSON.parse(await project.compose(['exec', '-T', 'approval', 'cat', '/data/trust.json']))
    expect(trust.public_url).toBe(url)
    isUp = true
  }, 1_200_000)

  it('the image holds no package of the tests, and what is ours is small', async () => {
    const listed = await project.docker('run', '--rm', '--entrypoint', 'ls', 'bailiwick:0.1.0', '/app/node_modules')
    for (const name of ['vitest', 'playwright-core', 'testcontainers', 'typescript', '@biomejs'])
      expect(listed.split('\n')).not.toContain(name)
    const layers = await project.docker(
      'history',
      '--format',
      '{{.Size}} {{.CreatedBy}}',
      '--human=false',
      'bailiwick:0.1.0',
    )
    // The newest first; the base image ends with its command.
    const ours = layers.split('\n').slice(
      0,
      layers.split('\n').findIndex((line) => line.includes('CMD ["node"]')),
    )
    const megabytes = ours.reduce((sum, line) => sum + Number(line.split(' ')[0]), 0) / 1e6
    expect(megabytes).toBeGreaterThan(10)
    expect(megabytes).toBeLessThan(80)
  })

  it('a person enrols, and approves the first registry', async () => {
    const told = await project.compose([
      'run',
      '--rm',
      '--entrypoint',
      'cat',
      'init',
      '/volumes/installation/invitation.txt',
    ])
    const [invitation = ''] = /http\S+#invitation=\S+/.exec(told) ?? []
    await olivia.page.goto(invitation)
    await olivia.page.getByLabel('Your name').fill('Olivia Owner')
    await olivia.press('Create passkey and enrol')
    await olivia.page.getByText('No agent waits for you.').waitFor()
    const applied = await project.compose(
      ['exec', '-T', 'approval', 'bailiwick', 'registry', 'apply', '/dev/stdin'],
      registry(),
    )
    await approve(/req_[\w-]+/.exec(applied)?.[0] ?? '')
  }, 300_000)

  it('an agent asks, is approved, acts, and its action is traced and verified', story, 300_000)

  it.each(services)(
    '%s is restarted, and healthy again',
    async (service) => {
      await project.compose(['restart', '-t', '60', service])
      await project.healthy(service)
      // Killed where it did not stop in time.
      expect((await project.state(service))?.exitCode).not.toBe(137)
    },
    600_000,
  )

  it.each(['evidence', 'issuer'])(
    '%s is killed, and comes back by itself',
    async (service) => {
      await project.healthy(service)
      const before = await project.state(service)
      process.kill(before?.pid ?? 0, 'SIGKILL')
      await project.healthy(service, ({ restarts, pid }) => restarts > (before?.restarts ?? 0) && pid !== before?.pid)
    },
    300_000,
  )

  it('is taken down and up, and has kept what it knew', async () => {
    await project.compose(['down'])
    await project.up()
    await project.allHealthy()
    await olivia.page.goto(`${url}/console/inbox`)
    const signIn = olivia.page.getByRole('button', { name: /^Sign in/ })
    const isIn = olivia.page.getByRole('link', { name: 'Grants' })
    await signIn.or(isIn).first().waitFor()
    if (await signIn.isVisible()) await signIn.click()
    await isIn.waitFor()
    await story()
  }, 900_000)

  it('runs Kafka and Redis for the tests of a machine that has neither', async () => {
    try {
      for (const [name, value] of Object.entries(onlyEngine(engine))) vi.stubEnv(name, value)
      await usePartsInContainers()
    } finally {
      vi.unstubAllEnvs()
    }
  }, 300_000)

  /** The sample world, in the file's own form. */
  function registry(): string {
    const sections: Record<string, string> = {
      agent: 'agents',
      'tool-server': 'tool_servers',
      'enforcement-point': 'enforcement_points',
      rule: 'rules',
    }
    const file: Record<string, unknown[]> = { groups: [{ id: sample.group, members: [sample.owner] }] }
    for (const { type, value } of sampleEntities(data)) {
      const section = sections[type]
      // The rule of registry changes would ask for a group that is still empty.
      if (section && value.id !== 'registry') file[section] = [...(file[section] ?? []), value]
    }
    return JSON.stringify(file)
  }

  async function approve(requestId: string): Promise<void> {
    await olivia.page.goto(`${url}/console/requests/${requestId}`)
    await olivia.press('Approve as asked…')
    await olivia.press('Sign with passkey')
    // The issuer is another process: what it makes of the answer may follow. Then the page says it in two places for a moment.
    await olivia.page
      .getByText(/^Approved[.;]/)
      .first()
      .waitFor()
      .catch(async (error) => {
        const shown = await olivia.page.locator('body').textContent()
        throw new Error(`not approved: ${shown}; the page says ${olivia.complaints.join('; ')}`, { cause: error })
      })
  }

  async function story(): Promise<void> {
    const agent = sampleAgent({ data, trust, clock: systemClock, random: systemRandom }, 'reconciler')
    const authority = { ...sampleAuthority, task: `reconcile-${Date.now()}` }
    const ask = { authority, mode: 'window' as const, expiresInSeconds: 3600, purpose: 'Month end' }
    // Right after a start the services may not have read everything yet: they say so, and to try again.
    const { requestId } = await trying(() => agent.request(ask))
    await approve(requestId)
    await agent.credential({ requestId }, { wait: AbortSignal.timeout(60_000) })
    let decisionId = ''
    {
      const store = fileOutcomeStore(join(data, 'outcomes.json'))
      const world = { data, trust, url, invoicesUrl: sample.invoicesUrl }
      await using api = await startInvoicesApi(world, { evidenceUrl: url, store })
      const before = api.ledger.effects.read
      const answer = await trying(async () => {
        const response = await agent.fetch(
          `${sample.invoicesUrl}/read`,
          { method: 'POST' },
          {
            grant: { requestId },
            action: 'tools/call',
            resource: { type: 'tool', id: `${sample.toolServer}/read` },
            properties: { invoice: 'INV-1' },
          },
        )
        if (response.status !== 200) throw new Error(await response.text())
        return response
      })
      decisionId = answer.headers.get('bailiwick-decision-id') ?? ''
      expect(api.ledger.effects.read).toBe(before + 1)
      await api.delivered()
    }
    const trace = await trying(async () => {
      const told = await project.compose(['exec', '-T', 'evidence', 'bailiwick', 'trace', decisionId])
      if (!told.includes('succeeded')) throw new Error(`no outcome in ${told}`)
      return told
    })
    expect(trace).toContain('signed by owner')
    const verified = await project.compose(['exec', '-T', 'evidence', 'bailiwick', 'verify'])
    expect(verified).toContain('whole and unchanged')
  }
})

async function trying<T>(what: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await what()
    } catch (error) {
      if (tries === 60) throw error
      await pause(1000)
    }
  }
}
