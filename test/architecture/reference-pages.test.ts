import { knownSettings } from '@bailiwick/host'
import { describe, expect, it } from 'vitest'
import { healthChecks, logPage, metricRows, settingsPage } from '../../scripts/reference-pages.ts'
import { callsIn, keysOf, listOf, textOf } from '../../scripts/source-calls.ts'
import { filesAt, readText } from './repository.ts'

describe('the pages that are generated from the sources', () => {
  it('list every setting that a process reads', async () => {
    const page = await settingsPage()
    const ofNoOperator =
      /^BAILIWICK_(DEV_|URL|INSTALLATION|TRUST$|APPROVER|AGENT$|AGENT_(INSTANCE|KEY)|POINT|CHAOS|NIGHTLY|SEED)/
    const listed = knownSettings.filter((name) => page.includes(`| \`${name}\` |`))
    expect(knownSettings.filter((name) => !listed.includes(name) && !ofNoOperator.test(name))).toEqual([])
    expect(listed.length).toBeGreaterThan(35)
  })

  it('list metrics, each once, with what it says', () => {
    const rows = metricRows()
    expect(rows.length).toBeGreaterThan(40)
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
    expect(rows.find(({ name }) => name === 'bailiwick_http_requests_total')).toEqual({
      name: 'bailiwick_http_requests_total',
      type: 'counter',
      labels: ['method', 'route', 'status'],
      help: 'Requests answered',
      part: 'every process',
    })
  })

  it('list log lines with their fields', () => {
    expect(logPage()).toContain(
      '| THE FILES OF THE ACTIVE POLICY SET WERE CHANGED | `policy_set`, `found` | evidence |',
    )
  })

  it('docs/operate/when-things-fail.md says what each health check means', () => {
    const page = readText('docs/operate/when-things-fail.md') ?? ''
    const checks = healthChecks()
    expect(checks.length).toBeGreaterThan(7)
    expect(checks.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
  })
})

it('no page names a setting that no process reads', () => {
  const named = filesAt(['*.md', '{docs,packages,services,examples,infra}/**/*.md'])
    .filter(({ path }) => path !== 'CHANGELOG.md')
    .flatMap(({ path, text }) => [...text.matchAll(/\bBAILIWICK_[A-Z_]*[A-Z]\b/g)].map(([name]) => ({ path, name })))
  expect(named.length).toBeGreaterThan(100)
  /** `agent run` gives these to its program. */
  const isOfRun = (name: string) => /^BAILIWICK_(MCP|HTTP|GIT|SSH|POSTGRES|SESSION|MODELS)(_|$)/.test(name)
  expect(named.filter(({ name }) => !knownSettings.includes(name) && !isOfRun(name))).toEqual([])
})

describe('the reader of calls', () => {
  const source = `
    const about = 'What it says, (all of it)'
    const labels = ['a', 'b'] as const
    // metrics.counter('in a comment', 'x')
    this.x = metrics.counter('x_total', about, labels)
    options.metrics.gauge(
      'y', // a comment, with a comma
      'One ' + 'text',
      ['c'],
      (gauge) => gauge.set(f(1, 2)),
    )
    metrics.counter(\`z_\${name}\`, made())
    logger.warn({ id, ...(more ? { err } : {}), at: [1, 2] }, 'it waits')
  `
  const metrics = callsIn('x.ts', source, /\bmetrics\.(counter|gauge)\(/g)

  it('finds calls, not those in comments, and splits their arguments', () => {
    expect(metrics.map(({ method, args }) => [method, args.length])).toEqual([
      ['counter', 3],
      ['gauge', 4],
      ['counter', 2],
    ])
  })

  it('reads literals, joined texts and constants, and nothing that is made at run time', () => {
    expect(metrics.map((call) => textOf(call.args[1], call.source))).toEqual([
      'What it says, (all of it)',
      'One text',
      undefined,
    ])
    expect(metrics.map((call) => textOf(call.args[0], call.source))).toEqual(['x_total', 'y', undefined])
    expect(metrics.map((call) => listOf(call.args[2], call.source))).toEqual([['a', 'b'], ['c'], []])
  })

  it('reads the fields of a log line', () => {
    const [line] = callsIn('x.ts', source, /\blogger\.(warn)\(/g)
    expect(keysOf(line?.args[0] ?? '')).toEqual(['id', 'at'])
  })
})
