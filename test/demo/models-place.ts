import { writeFileSync } from 'node:fs'
import { type Agent, createAgent } from '@bailiwick/agent'
import { readKeyFile } from '@bailiwick/credentials'
import type { ModelFixture } from '@bailiwick/gateway/model-fixture'
import { paths } from '@bailiwick/installation'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { freePort, type RunningSystem } from '@bailiwick/testkit'
import { must } from './must.ts'
import { Place } from './place.ts'

/** Both APIs of one scripted provider, by the names under which the gateway has them. */
const providers = { acme: 'openai', claudish: 'anthropic' } as const
const names = Object.keys(providers)
const prices = {
  version: '2026-11-29',
  currency: 'USD',
  models: { small: { input: '1', output: '100', most_output: 4000, default_output: 1000 } },
}

export interface SubAgent {
  agent: Agent
  /** `<agent id>/<instance>`. */
  id: string
  /** The thumbprint of its key. */
  key: string
}

/** A folder in which a team puts providers of models behind the gateway. */
export class ModelsPlace extends Place {
  readonly #system: RunningSystem

  private constructor(system: RunningSystem, provider: ModelFixture, port: number) {
    super('models', system, port)
    this.#system = system
    writeFileSync(this.at('provider-key'), provider.secret, { mode: 0o600 })
    const secret = `\${secret:file:${this.at('provider-key')}}`
    const headers = { openai: { authorization: `Bearer ${secret}` }, anthropic: { 'x-api-key': secret } }
    const entries = Object.entries(providers).map(([name, api]) => [
      name,
      { api, url: `${provider.url}/`, inject: { headers: headers[api] }, prices },
    ])
    const models = Object.fromEntries(entries)
    writeFileSync(this.at('gateway.yaml'), JSON.stringify({ trust: paths(this.data).trust, models }))
  }

  static async open(system: RunningSystem, provider: ModelFixture): Promise<ModelsPlace> {
    return new ModelsPlace(system, provider, await freePort())
  }

  /** Writes `registry.yaml`: the prices, the gateway, and these agents. */
  async drafted(agents: readonly string[]): Promise<void> {
    const point = [
      ...['keys', 'point', 'gateway', '--may-release', '--out', 'keys'],
      ...names.flatMap((name) => ['--resource', `model:${name}/`, '--base-url', `${this.url}/models/${name}`]),
    ]
    const commands = [
      ...names.map((name) => ['gateway', 'pin', name, '--config', 'gateway.yaml']),
      point,
      ...agents.map((name) => ['keys', 'agent', sampleAgentId(name), '--owner', sample.owner, '--out', 'keys']),
    ]
    const drafts = await Promise.all(commands.map((words) => this.#draft(words)))
    const sections = new Map<string, string[]>()
    for (const [section = '', ...lines] of drafts) sections.set(section, [...(sections.get(section) ?? []), ...lines])
    const text = [...sections].flatMap(([section, lines]) => [section, ...lines]).join('\n')
    writeFileSync(this.at('registry.yaml'), `${text}\n`)
  }

  /** The entries that a command prints, line by line: the name of their section first. */
  async #draft(words: readonly string[]): Promise<string[]> {
    const { code, out, err } = await this.bailiwick(...words)
    must(code === 0, `${words.join(' ')} ended with ${code}: ${out}${err}`)
    return out.trimEnd().split('\n')
  }

  subAgent(name: string): SubAgent {
    const { trust, clock, random } = this.#system
    const key = readKeyFile(this.at('keys'), `${name}-${sample.instance}`, 'agent')
    const agent = createAgent({
      ...{ agentId: sampleAgentId(name), instance: sample.instance, key },
      ...{ installation: trust.installation, baseUrl: trust.public_url, now: () => clock.now(), random },
    })
    return { agent, id: agent.id, key: key.kid }
  }
}
