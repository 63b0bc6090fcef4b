import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configSchema as approval } from '@bailiwick/approval/config'
import { apis, type Route } from '@bailiwick/contracts/api'
import { configSchema as evidence } from '@bailiwick/evidence/config'
import { configSchema as gateway } from '@bailiwick/gateway/config'
import { readConfig } from '@bailiwick/host'
import { configSchema as issuer } from '@bailiwick/issuer/config'
import { configSchema as policyDecision } from '@bailiwick/policy-decision/config'
import { describe, expect, it } from 'vitest'
import { readCompose, repository, servesOf } from './compose-file.ts'

const schemas = { approval, issuer, 'policy-decision': policyDecision, evidence }
const compose = readCompose()
const all = Object.entries(compose.services)
const serving = servesOf(compose)
const cli = (...args: string[]) =>
  execFileSync(process.execPath, [join(repository, 'packages/cli/src/main.ts'), ...args], { encoding: 'utf8' })

describe('docker-compose.yml', () => {
  it('runs each service, and the decision point twice', () => {
    const served = serving.map(([, , serves]) => serves).toSorted()
    expect(served).toEqual(['approval', 'evidence', 'issuer', 'policy-decision', 'policy-decision'])
  })

  it.each(serving)('%s has settings that its service knows, and no others', (_name, { environment = {} }, serves) => {
    const schema = schemas[serves as keyof typeof schemas]
    expect(Object.keys(schema.shape)).toEqual(expect.arrayContaining(Object.keys(environment)))
    const config = readConfig(schema, environment)
    expect(config.BAILIWICK_BUS.kind).toBe('kafka')
    expect(config.BAILIWICK_GRANT_STORE.kind).toBe(serves === 'policy-decision' ? 'redis' : 'embedded')
  })

  it('runs the gateway where it is asked for, with settings that it knows and nothing of the others', () => {
    const { command, environment = {}, profiles, volumes = [], depends_on } = compose.services.gateway ?? {}
    expect([command, profiles, depends_on]).toEqual([['serve', 'gateway'], ['gateway'], undefined])
    expect(Object.keys(gateway.shape)).toEqual(expect.arrayContaining(Object.keys(environment)))
    expect(readConfig(gateway, environment).BAILIWICK_GATEWAY_CONFIG).toBe('/gateway/gateway.yaml')
    expect(volumes).toEqual(['/dev/null:/gateway:ro', 'gateway:/data'])
    expect(compose.services.front?.ports).toContain(
      `127.0.0.1:${environment.BAILIWICK_PORT}:${environment.BAILIWICK_PORT}`,
    )
  })

  it('runs services whose packages are in the image', () => {
    const image = readFileSync(join(repository, 'Dockerfile'), 'utf8')
    const served = all.flatMap(([, { command }]) => (command?.[0] === 'serve' ? [command[1] ?? ''] : []))
    for (const service of served) expect(image).toContain(`--workspace services/${service}`)
  })

  it.each(all.filter(([, { command }]) => command?.[0] === 'kafka'))(
    '%s is an existing command',
    (_name, { command = [], environment = {} }) => {
      const words = command.filter((word) => /^[a-z]+$/.test(word)).slice(0, 3)
      const help = cli(...words, '--help')
      expect(help).toContain(`Usage: bailiwick ${words.join(' ')}`)
      for (const option of command.filter((word) => word.startsWith('--'))) expect(help).toContain(option)
      expect(Object.keys(approval.shape)).toEqual(expect.arrayContaining(Object.keys(environment)))
    },
  )

  it.each(all)('%s has few privileges', (_name, service) => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
    expect(service.mem_limit).toMatch(/^\d+[mg]$/)
    expect(service.pids_limit).toBeGreaterThan(0)
    expect(service.privileged).toBeUndefined()
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/)
    for (const capability of service.cap_add ?? []) expect(capability).toBe('NET_BIND_SERVICE')
    if (service.build === undefined) expect(service.image).toMatch(/:v?\d+\.\d+/)
  })

  it.each(serving)(
    '%s has room for the heap that V8 allows itself, and for other memory',
    (_name, { mem_limit = '' }) => {
      const limit = Number(/^(\d+)m$/.exec(mem_limit)?.[1])
      const heap = limit / 2 + 3 * 64
      expect(limit).toBeGreaterThanOrEqual(heap + 190)
    },
  )

  it('gives each service the address of every service, at the port where it listens', () => {
    const places = serving.map(
      ([name, { environment = {} }, serves]) => `${serves}=http://${name}:${environment.BAILIWICK_PORT}`,
    )
    for (const [, { environment = {} }] of serving)
      expect(environment.BAILIWICK_SERVICES?.split(', ').toSorted()).toEqual(places.toSorted())
  })

  it('gives the first start the registry file that REGISTRY names, and otherwise a device', () => {
    const { volumes = [], environment = {} } = compose.services.init ?? {}
    expect(volumes).toContain(`/dev/null:${environment.REGISTRY}:ro`)
  })

  it('contains no secret, and names files for the existing ones', () => {
    for (const [name, { environment = {} }] of all)
      for (const [setting, value] of Object.entries(environment))
        if (/PASS|SECRET|TOKEN|KEY/.test(setting))
          expect([name, setting, value]).toEqual([name, expect.stringMatching(/_FILE$/), expect.stringMatching(/^\//)])
    expect(readFileSync(join(repository, 'docker-compose.yml'), 'utf8')).not.toMatch(/:\/\/[^/\s]+:[^/\s]*@/)
  })

  it('gives each service its own volume only; the installation’s keys are for the first start only', () => {
    const holders = (volume: string) =>
      all.filter(([, { volumes = [] }]) => volumes.some((v) => v.startsWith(`${volume}:`)))
    for (const [name] of serving) expect(holders(name).map(([holder]) => holder)).toEqual(['init', name])
    expect(holders('installation').map(([holder]) => holder)).toEqual(['init'])
    expect(holders('kafka-users').map(([holder]) => holder)).toEqual(['init', 'kafka', 'kafka-topics', 'kafka-acls'])
  })

  it('lets only decision points reach Redis, which has no password', () => {
    const reach = all.filter(([, { networks = [] }]) => networks.includes('redis')).map(([name]) => name)
    expect(reach).toEqual(['redis', 'policy-decision-1', 'policy-decision-2'])
    for (const name of ['services', 'kafka', 'redis']) expect(compose.networks[name]).toEqual({ internal: true })
    expect(compose.services.redis?.command?.join(' ')).toContain('--maxmemory-policy noeviction')
  })

  it('names existing volumes, networks, services and files, and uses everything that it declares', () => {
    const mounts = all.flatMap(([, { volumes = [] }]) => volumes.map((mount) => mount.split(':')[0] ?? ''))
    const files = mounts.filter((mount) => mount.startsWith('./'))
    for (const file of files) expect(existsSync(join(repository, file)), file).toBe(true)
    expect(new Set(mounts.filter((mount) => !/^\.?\//.test(mount)))).toEqual(new Set(Object.keys(compose.volumes)))
    expect(new Set(all.flatMap(([, { networks = [] }]) => networks))).toEqual(new Set(Object.keys(compose.networks)))
    for (const [, { depends_on = [] }] of all)
      for (const other of Array.isArray(depends_on) ? depends_on : Object.keys(depends_on))
        expect(Object.keys(compose.services)).toContain(other)
    for (const [, { entrypoint = [] }] of all)
      for (const path of entrypoint)
        expect(statSync(join(repository, path.replace(/^\/app\//, ''))).mode & 0o111).not.toBe(0)
  })
})

it('the first start gives each service its own keys and password, and changes nothing when it is repeated', () => {
  const folder = mkdtempSync(join(tmpdir(), 'compose-init-'))
  try {
    const volumes = [
      'installation',
      'approval',
      'issuer',
      'policy-decision-1',
      'policy-decision-2',
      'evidence',
      'kafka-users',
    ]
    execFileSync('mkdir', ['-p', 'bin', ...volumes], { cwd: folder })
    const shim = `#!/bin/sh\nexec "${process.execPath}" "${join(repository, 'packages/cli/src/main.ts')}" "$@"\n`
    writeFileSync(join(folder, 'bin/bailiwick'), shim, { mode: 0o755 })
    const PATH = `${join(folder, 'bin')}:${process.env.PATH}`
    const registry = join(folder, 'registry.yaml')
    writeFileSync(
      registry,
      'tool_servers: [{ id: erp, url: "https://erp.example/", manifest: "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", tools: {} }]\n',
    )
    const start = (env: Record<string, string> = {}) =>
      execFileSync('sh', [join(repository, 'infra/docker/init.sh'), folder], {
        env: { PATH, BAILIWICK_PUBLIC_URL: 'http://localhost:8420', SINGLE_OPERATOR: '1', ...env },
        encoding: 'utf8',
      })
    const said = start({ REGISTRY: registry })
    expect(readFileSync(join(folder, 'installation/genesis.json'), 'utf8')).toContain('https://erp.example/')
    // On this machine, it prints the file itself and no container command.
    expect(said).toContain(`  ${join(folder, 'installation/invitation.txt')}\n`)
    expect(said).not.toMatch(/docker|npx/)
    const filesOf = (volume: string) => readdirSync(join(folder, volume, 'keys'), { recursive: true }).toSorted()
    expect(filesOf('approval')).toEqual(['approval', 'approval/event.json', 'approval/notification.json'])
    expect(filesOf('issuer')).toEqual(['issuer', 'issuer/credential.json', 'issuer/event.json'])
    for (const n of [1, 2])
      expect(filesOf(`policy-decision-${n}`)).toEqual([
        'policy-decision',
        'policy-decision/binding-token.json',
        'policy-decision/event.json',
        'policy-decision/permit.json',
      ])
    expect(filesOf('evidence')).toEqual(['evidence', 'evidence/event.json', 'evidence/log.key'])
    const passwords = readdirSync(join(folder, 'kafka-users')).map((user) =>
      readFileSync(join(folder, 'kafka-users', user), 'utf8'),
    )
    expect(new Set(passwords).size).toBe(8)
    for (const password of passwords) expect(password).toMatch(/^[A-Za-z0-9_-]{32}$/)
    expect(said).not.toMatch(/#invitation=/)
    const state = () =>
      volumes.map((volume) =>
        readFileSync(join(folder, volume, volume === 'kafka-users' ? 'admin' : 'trust.json'), 'utf8'),
      )
    const before = state()
    // In a container, and with the device that compose mounts where no registry was named.
    const again = start({ container: 'oci', REGISTRY: '/dev/null' })
    expect(state()).toEqual(before)
    expect(again).toContain(`docker compose run --rm --entrypoint cat init ${folder}/installation/invitation.txt`)
    expect(again).toContain('docker compose exec -T approval bailiwick registry apply /dev/stdin')
    expect(again).not.toMatch(/npx|#invitation=/)
    const secret = ['approval/kafka-password', 'issuer/keys/issuer/credential.json', 'installation/invitation.txt']
    for (const file of secret) expect(statSync(join(folder, file)).mode & 0o077, file).toBe(0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

describe('the front', () => {
  const caddyfile = readFileSync(join(repository, 'infra/front/Caddyfile'), 'utf8')
  const owners = [...caddyfile.matchAll(/@(issuer|decision|evidence) path (.+)/g)].map(([, name, paths = '']) => ({
    service: name === 'decision' ? 'policy-decision' : name,
    paths: paths.split(' '),
  }))
  const ownerOf = (route: string) =>
    owners.find(({ paths }) =>
      paths.some((path) => (path.endsWith('*') ? route.startsWith(path.slice(0, -1)) : route === path)),
    )?.service ?? 'approval'

  it('sends each route to the service that has it', () => {
    const watched = ['/healthz', '/readyz', '/metrics']
    const served = Object.keys(schemas).flatMap((service) =>
      Object.values<Route>(apis[service as keyof typeof schemas].routes)
        .filter((route) => route.on !== 'operator' && !watched.includes(route.path))
        .map(({ path }) => [path, service]),
    )
    expect(served.map(([path = '']) => [path, ownerOf(path)])).toEqual(served)
    expect(served.length).toBeGreaterThan(15)
  })

  it('hides the monitoring routes from outside, and repeats no request', () => {
    expect(caddyfile).toMatch(/@internal path \/healthz \/readyz \/metrics\n\thandle @internal \{\n\t\trespond 404/)
    expect(caddyfile.match(/lb_retries 0/g)).toHaveLength(1)
    expect(caddyfile.match(/import service/g)).toHaveLength(4)
  })

  it('looks for each service where docker-compose.yml has it', () => {
    const upstreams = [...caddyfile.matchAll(/(?<=reverse_proxy \{.*[: ])([a-z0-9-]+):(\d+)/g)].map(
      ([, name, port]) => [name, port],
    )
    const places = serving.map(([name, { environment }]) => [name, environment?.BAILIWICK_PORT])
    expect(upstreams.toSorted()).toEqual(places.toSorted())
  })
})
