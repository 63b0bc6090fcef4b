import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { metrics } from '@bailiwick/host'
import { freePort, startSystem } from '@bailiwick/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { metricRows } from '../../scripts/reference-pages.ts'
import { eventually } from '../e2e/world.ts'
import { readCompose, readYaml, repository, servesOf } from './compose-file.ts'

interface Alerts {
  groups: { rules: { alert: string; expr: string; labels: { severity: string }; annotations: object }[] }[]
}
interface Dashboard {
  panels: { title: string; targets?: { expr: string }[] }[]
}

const alerts = readYaml<Alerts>('infra/prometheus/alerts.yml').groups.flatMap(({ rules }) => rules)
const dashboard: Dashboard = JSON.parse(readFileSync(join(repository, 'infra/grafana/bailiwick.json'), 'utf8'))
const expressions = [
  ...alerts.map(({ alert, expr }) => [alert, expr] as const),
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
]

/** The labels that Prometheus itself adds to every series. */
const ofPrometheus = ['instance', 'job']
const run = promisify(execFile)

/** The metrics of a running system: names, each with its labels and, where it declares them, their values. */
const shown = new Map<string, Map<string, Set<string>>>()

/** The type of each. */
const types = new Map<string, string>()

function learn(text: string): void {
  for (const [, name = '', kind = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    types.set(name, kind)
    for (const suffix of kind === 'histogram' ? ['_bucket', '_sum', '_count'] : [''])
      shown.set(name + suffix, shown.get(name + suffix) ?? new Map())
  }
  for (const [, name = '', labels = ''] of text.matchAll(/^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$/gm))
    for (const [, label = '', value = ''] of labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) {
      const known = shown.get(name)
      known?.set(label, (known.get(label) ?? new Set()).add(value))
    }
}

describe('a running system', () => {
  beforeAll(async () => {
    await using system = await startSystem()
    await fetch(`${system.url}/healthz`)
    // Nonsense on the topic of requests: a label appears with what it counts.
    await system.host.bus.publish('access-requests.v1', [{ key: 'x', bytes: Buffer.from('nonsense') }])
    const told = async () => (await fetch(`${system.url}/metrics`)).text()
    // Evidence looks once a second; requests are read after that.
    for (const name of [/^bailiwick_evidence_log_size/m, /^bailiwick_evidence_lag_events/m])
      await eventually(async () => name.test(await told()))
    await new Promise((resolve) => setTimeout(resolve, 1200))
    learn(await told())
    const at = system.url.slice(system.url.lastIndexOf(':') + 1)
    const script = join(repository, 'infra/docker/healthy.sh')
    await run(script, [], { env: { BAILIWICK_PORT: at } })
    await expect(run(script, [], { env: { BAILIWICK_PORT: String(await freePort()) } })).rejects.toMatchObject({
      code: 1,
    })
    learn(await metrics({ service: 'process' }).text())
  })

  it('exports every metric that the alerts and the dashboard use', () => {
    const asked = new Set(expressions.flatMap(([, expr]) => metricsIn(expr)).map(({ name }) => name))
    expect(asked.size).toBeGreaterThan(15)
    expect([...asked].filter((name) => name !== 'up' && !shown.has(name))).toEqual([])
  })

  it.each(expressions)('%s: uses existing labels', (_title, expr) => {
    const asked = metricsIn(expr)
    expect(asked).not.toHaveLength(0)
    for (const { name, labels } of asked) {
      const known = [...(shown.get(name)?.keys() ?? []), ...ofPrometheus, ...(declared[name] ?? [])]
      for (const { label } of labels) expect(known, name).toContain(label)
    }
    const grouped = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, labels = '']) =>
      labels.split(',').map((label) => label.trim()),
    )
    const all = new Set([
      ...asked.flatMap(({ name }) => [...(shown.get(name)?.keys() ?? []), ...(declared[name] ?? [])]),
      ...ofPrometheus,
      '',
    ])
    for (const label of grouped) expect([...all]).toContain(label)
  })

  it('exports no metric of its own that docs/reference/metrics.md does not list, with its type', () => {
    const listed = new Map(metricRows().map(({ name, type }) => [name, type]))
    const own = [...types].filter(([name]) => name.startsWith('bailiwick_'))
    expect(own.length).toBeGreaterThan(30)
    expect(own.filter(([name, type]) => listed.get(name) !== type)).toEqual([])
  })

  it('exports at 0 every counter whose increase an alert watches, or the first increase would be missed', () => {
    const increases = alerts.filter(({ expr }) => expr.includes('increase('))
    expect(increases.length).toBeGreaterThan(4)
    for (const { alert, expr } of increases)
      for (const { name, labels } of metricsIn(expr)) {
        expect(shown.get(name), alert).toBeDefined()
        for (const { label, operator, value } of labels)
          if (operator === '=') expect([...(shown.get(name)?.get(label) ?? [])], `${alert}: ${label}`).toContain(value)
      }
  })
})

/** Labels of metrics that have no series while all is well. */
const declared: Record<string, string[]> = { bailiwick_check_failing: ['check', 'service'], up: [] }

interface Asked {
  name: string
  labels: { label: string; operator: string; value: string }[]
}

/** The selectors in a PromQL expression, for our own metrics. */
function metricsIn(expr: string): Asked[] {
  return [...expr.matchAll(/\b(up|(?:bailiwick|process|nodejs)_[a-z0-9_]+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', selector = '']) => ({
      name,
      labels: [...selector.matchAll(/([a-z_]+)(=~|!~|!=|=)"([^"]*)"/g)].map(
        ([, label = '', operator = '', value = '']) => ({ label, operator, value }),
      ),
    }),
  )
}

describe('the alerts', () => {
  it('state the problem and its urgency', () => {
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length)
    for (const { alert, labels, annotations } of alerts) {
      expect(alert).toMatch(/^Bailiwick[A-Z]/)
      expect(['page', 'ticket']).toContain(labels.severity)
      expect(annotations).toHaveProperty('summary')
    }
  })

  it('are all in docs/operate/kafka.md', () => {
    const page = readFileSync(join(repository, 'docs/operate/kafka.md'), 'utf8')
    for (const { alert } of alerts) expect(page).toContain(`\`${alert}\``)
  })
})

it('Prometheus scrapes each service where docker-compose.yml has it', () => {
  const { scrape_configs } = readYaml<{ scrape_configs: { static_configs: { targets: string[] }[] }[] }>(
    'infra/prometheus/prometheus.yml',
  )
  const targets = scrape_configs.flatMap(({ static_configs }) => static_configs.flatMap(({ targets }) => targets))
  const places = servesOf(readCompose()).map(([name, { environment }]) => `${name}:${environment?.BAILIWICK_PORT}`)
  expect(targets.toSorted()).toEqual(places.toSorted())
  for (const [, { environment }] of servesOf(readCompose())) expect(environment?.BAILIWICK_METRICS).toBe('anyone')
})

it('the dashboard has everything that an operator must see, each panel with a query', () => {
  const text = JSON.stringify(dashboard)
  for (const metric of [
    'projection_fresh',
    'projection_head_age',
    'evidence_lag',
    'evidence_parked',
    'outcome.missing',
    'evidence_gaps',
    'decision_seconds',
    'bailiwick_active',
    'heads',
    'check_failing',
  ])
    expect(text).toContain(metric)
  const panels = dashboard.panels.filter(({ targets }) => targets)
  expect(panels.length).toBeGreaterThan(20)
})
