// Writes the image's SBOM (CycloneDX) to standard output: npm run -s sbom >bailiwick.cdx.json
// `npm sbom` describes every package of package-lock.json; what the image has of them is kept. Node and Debian's packages belong to
// the base image: BuildKit attests them (docker-bake.hcl).
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { imagePackages, type Lock } from './image-packages.ts'

interface Bom {
  metadata: { component: Record<string, unknown> }
  components: { 'bom-ref': string }[]
  dependencies: { ref: string; dependsOn: string[] }[]
}

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (name: string) => readFileSync(join(root, name), 'utf8')

const lock: Lock = JSON.parse(read('package-lock.json'))
const packages = imagePackages(read('Dockerfile'), lock)
const { version } = JSON.parse(read('packages/cli/package.json')) as { version: string }
const bom = everything()
const described = new Set(bom.components.map((component) => component['bom-ref']))
const refs = packages.map(({ name, version }) => `${name}@${version}`)
const missing = refs.filter((ref) => !described.has(ref))
if (missing.length > 0) throw new Error(`npm sbom does not know ${missing.join(', ')}`)

const kept = new Set(refs)
const ours = refs.filter((ref) => ref.startsWith('@bailiwick/'))
console.log(
  JSON.stringify(
    {
      ...bom,
      metadata: {
        ...bom.metadata,
        component: { 'bom-ref': `bailiwick@${version}`, type: 'container', name: 'bailiwick', version },
      },
      components: bom.components.filter((component) => kept.has(component['bom-ref'])),
      dependencies: [
        { ref: `bailiwick@${version}`, dependsOn: ours },
        ...bom.dependencies
          .filter(({ ref }) => kept.has(ref))
          .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => kept.has(other)) })),
      ],
    },
    undefined,
    2,
  ),
)

/** Of a copy of what npm reads: it refuses a root without a version, which ours has none of. */
function everything(): Bom {
  const copy = mkdtempSync(join(tmpdir(), 'sbom-'))
  try {
    writeFileSync(join(copy, 'package.json'), JSON.stringify({ ...JSON.parse(read('package.json')), version }))
    const workspaces = Object.keys(lock.packages).filter((path) => path !== '' && !path.includes('node_modules/'))
    for (const file of ['package-lock.json', ...workspaces.map((path) => `${path}/package.json`)]) {
      mkdirSync(dirname(join(copy, file)), { recursive: true })
      writeFileSync(join(copy, file), read(file))
    }
    return npmSbom(copy)
  } finally {
    rmSync(copy, { recursive: true })
  }
}

function npmSbom(cwd: string): Bom {
  const args = ['sbom', '--sbom-format=cyclonedx', '--package-lock-only']
  const npm = process.env.npm_execpath // npm's own entry file; npm sets it for the scripts it runs
  const options = { cwd, encoding: 'utf8', maxBuffer: 2 ** 28 } as const
  const { status, stdout, stderr } = npm
    ? spawnSync(process.execPath, [npm, ...args], options)
    : spawnSync('npm', args, options)
  if (status !== 0) throw new Error(`npm sbom failed: ${stderr}`)
  return JSON.parse(stdout)
}
