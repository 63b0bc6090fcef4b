import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configSchema as approval } from '@bailiwick/approval/config'
import { configSchema as evidence } from '@bailiwick/evidence/config'
import { readConfig } from '@bailiwick/host'
import { configSchema as issuer } from '@bailiwick/issuer/config'
import { configSchema as policyDecision } from '@bailiwick/policy-decision/config'
import { beforeAll, describe, expect, it } from 'vitest'
import { missingPrograms, pythonWithPackages } from '../consumers/programs.ts'
import { readYamlDocuments, repository } from './compose-file.ts'
import { chartHash, goldenFolder, helmFolder, valueFiles } from './helm-chart.ts'

const schemas = { approval, issuer, 'policy-decision': policyDecision, evidence }

interface Container {
  name: string
  image: string
  args?: string[]
  env?: { name: string; value: string }[]
  securityContext?: { capabilities?: { drop?: string[]; add?: string[] } }
  resources?: { limits?: { memory?: string } }
  volumeMounts?: { name: string; mountPath: string }[]
}
interface PodSpec {
  automountServiceAccountToken?: boolean
  securityContext?: object
  initContainers?: Container[]
  containers: Container[]
  volumes?: { name: string; secret?: { secretName: string }; configMap?: { name: string } }[]
}
interface Resource {
  apiVersion: string
  kind: string
  metadata: { name: string; labels?: Record<string, string> }
  spec: {
    template?: { metadata: { labels: Record<string, string> }; spec: PodSpec }
    podSelector?: { matchLabels: Record<string, string> }
    policyTypes?: string[]
    replicas?: number
  }
}

const rendered = Object.keys(valueFiles()).map((name) => {
  const text = readFileSync(join(goldenFolder, `${name}.yaml`), 'utf8')
  return [name, text, readYamlDocuments<Resource>(text)] as const
})

const podsOf = (resources: readonly Resource[]) =>
  resources.flatMap(({ metadata, spec }) =>
    spec?.template ? [[metadata.name, spec.template.spec, spec.template.metadata.labels] as const] : [],
  )

it('the golden files match the rendered chart (`node test/infra/render-helm.ts` writes them)', () => {
  expect(readFileSync(join(goldenFolder, 'chart.sha256'), 'utf8').trim()).toBe(chartHash())
})

describe.each(rendered)('infra/helm with %s', (_file, text, resources) => {
  const pods = podsOf(resources)
  const containersOf = (pod: PodSpec) => [...(pod.initContainers ?? []), ...pod.containers]

  it('runs each service once, in a pod with no secret but its own', () => {
    const serving = pods.flatMap(([, pod]) => {
      const args = pod.containers[0]?.args ?? []
      return args[0] === 'serve' ? [[args[1], pod.volumes?.flatMap(({ secret }) => secret?.secretName ?? [])]] : []
    })
    expect(Object.fromEntries(serving)).toEqual({
      approval: ['bailiwick-approval'],
      issuer: ['bailiwick-issuer'],
      'policy-decision': ['bailiwick-policy-decision'],
      evidence: ['bailiwick-evidence'],
    })
    expect(text).not.toMatch(/^kind: Secret$/m)
  })

  it.each(pods)('%s meets the Pod Security Standard "restricted", and has its limits', (_name, pod) => {
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    })
    for (const { securityContext, resources: limits, image } of containersOf(pod)) {
      expect(securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true })
      expect(securityContext?.capabilities?.drop).toEqual(['ALL'])
      for (const capability of securityContext?.capabilities?.add ?? []) expect(capability).toBe('NET_BIND_SERVICE')
      expect(limits?.limits?.memory).toMatch(/^\d+[MG]i$/)
      expect(image).toMatch(/(:v?\d+\.\d+|@sha256:[0-9a-f]{64})/)
    }
  })

  it.each(pods)('%s mounts only existing volumes', (_name, pod) => {
    const volumes = pod.volumes?.map(({ name }) => name)
    for (const { volumeMounts = [] } of containersOf(pod))
      for (const { name } of volumeMounts) expect([...(volumes ?? []), 'log']).toContain(name)
  })

  it.each(pods.filter(([, pod]) => pod.containers[0]?.args?.[0] === 'serve'))(
    '%s has settings that its service knows, and no others',
    (_name, pod) => {
      const { args = [], env = [] } = pod.containers[0] as Container
      const schema = schemas[args[1] as keyof typeof schemas]
      const settings = Object.fromEntries(env.map(({ name, value }) => [name, value]))
      expect(Object.keys(settings)).toHaveLength(env.length)
      expect(Object.keys(schema.shape)).toEqual(expect.arrayContaining(Object.keys(settings)))
      const config = readConfig(schema, settings)
      expect(config.BAILIWICK_BUS.kind).toBe('kafka')
      expect(config.BAILIWICK_GRANT_STORE.kind).toBe(args[1] === 'policy-decision' ? 'redis' : 'embedded')
    },
  )
})

describe('network policies', () => {
  /** It has `networkPolicies: { enabled: false }`. */
  const without = 'no-ingress'
  const policiesOf = (resources: readonly Resource[]) => resources.filter(({ kind }) => kind === 'NetworkPolicy')

  it.each(rendered.filter(([name]) => name !== without))(
    'leave no pod of %s without one',
    (_name, _text, resources) => {
      const policies = policiesOf(resources)
      for (const [name, , labels] of podsOf(resources))
        expect([name, policies.some(({ spec }) => matches(spec.podSelector?.matchLabels, labels))]).toEqual([
          name,
          true,
        ])
      for (const { spec } of policies) expect(spec.policyTypes).toEqual(['Ingress', 'Egress'])
    },
  )

  it('are not rendered where they are switched off', () => {
    const switchedOff = rendered.filter(([name]) => name === without)
    expect(switchedOff.map(([name, , resources]) => [name, policiesOf(resources)])).toEqual([[without, []]])
  })
})

const matches = (wanted: Record<string, string> | undefined, labels: Record<string, string>) =>
  wanted !== undefined && Object.entries(wanted).every(([key, value]) => labels[key] === value)

describe.skipIf(process.env.CI !== 'true' && missingPrograms().length > 0)('kubernetes-validate', () => {
  let python = ''
  beforeAll(async () => {
    python = await pythonWithPackages(join(repository, 'test/infra/kubernetes'))
  }, 300_000)

  it.each(rendered)('accepts every resource of %s, and no member that Kubernetes does not know', (_name, text) => {
    // The operator's own kind is not Kubernetes'.
    const documents = text.split(/^---$/m).filter((each) => !each.includes('monitoring.coreos.com'))
    const folder = mkdtempSync(join(tmpdir(), 'helm-'))
    try {
      writeFileSync(join(folder, 'all.yaml'), documents.join('---'))
      const args = ['-m', 'kubernetes_validate', '--kubernetes-version', '1.33.1', '--strict', join(folder, 'all.yaml')]
      execFileSync(python, args, { stdio: 'pipe', encoding: 'utf8' })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('infra/helm/secrets.sh', () => {
  it('packs only each service’s own files, readable by their owner only', () => {
    const folder = mkdtempSync(join(tmpdir(), 'secrets-'))
    const run = (file: string, ...args: string[]) =>
      execFileSync(file, args, {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          PATH: `${join(repository, 'node_modules/.bin')}:${process.env.PATH}`,
          BAILIWICK_PUBLIC_URL: 'https://agents.example',
          SINGLE_OPERATOR: '1',
        },
      })
    try {
      run('sh', join(repository, 'infra/docker/init.sh'), folder)
      const made = run('sh', join(helmFolder, 'secrets.sh'), folder, 'bailiwick')
      const secrets = readYamlDocuments<{
        metadata: { name: string; namespace: string }
        data: Record<string, string>
      }>(made)
      expect(secrets.map(({ metadata }) => [metadata.name, metadata.namespace])).toEqual(
        ['approval', 'issuer', 'policy-decision', 'evidence', 'kafka-admin'].map((name) => [
          `bailiwick-${name}`,
          'bailiwick',
        ]),
      )
      for (const { metadata, data } of secrets.slice(0, 4)) {
        const archive = join(folder, 'installation.tar')
        writeFileSync(archive, Buffer.from(data['installation.tar'] ?? '', 'base64'))
        const listed = run('tar', '--numeric-owner', '-tvf', archive).trim().split('\n')
        const service = metadata.name.replace('bailiwick-', '')
        for (const line of listed) expect(line).toMatch(/^[-d]rw[-x]------ 1000\/1000 /)
        const holders = new Set(listed.flatMap((line) => / keys\/([^/]+)\/./.exec(line)?.[1] ?? []))
        expect([...holders]).toEqual([service])
        expect(listed.some((line) => line.endsWith(' genesis.json'))).toBe(service === 'issuer')
        for (const file of ['trust.json', 'kafka-password']) expect(listed.join('\n')).toContain(` ${file}`)
      }
      expect(Buffer.from(secrets[4]?.data.password ?? '', 'base64').toString()).toMatch(/^[\w-]{32}$/)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('reports a missing installation', () => {
    expect(existsSync(join(helmFolder, 'secrets.sh'))).toBe(true)
    expect(() => execFileSync('sh', [join(helmFolder, 'secrets.sh'), '/nowhere'], { stdio: 'pipe' })).toThrow(
      'there is no installation in /nowhere/approval',
    )
  })
})
