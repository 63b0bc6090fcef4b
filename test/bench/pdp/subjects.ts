import { join } from 'node:path'
import { freePort } from '@bailiwick/testkit'
import type { Bench } from '../measure.ts'
import { granted, type Place } from '../place.ts'
import { type Caller, GrantCaller, PlainCaller } from './callers.ts'
import type { TwoCores } from './cores.ts'
import { nativeCedar } from './native-cedar.ts'
import { grantPolicies, writeFolderPolicies } from './policy-files.ts'
import { sameAnswers } from './same-answers.ts'
import { Server } from './server.ts'

const trees = 8
const own = join(import.meta.dirname, 'server-main.ts')
const plainPdp = join(import.meta.dirname, '../../../services/plain-pdp/src/main.ts')

/** A decision point to call. */
export interface Subject {
  mode: 'plain' | 'native Cedar' | 'full' | 'full, no evidence'
  policies: number
  server: Server
  caller: Caller
}

/** An echo, and decision points of each kind with these numbers of policies. */
export class Subjects implements AsyncDisposable {
  readonly all: readonly Subject[]
  readonly echo: Server
  readonly #started: AsyncDisposableStack

  private constructor(all: readonly Subject[], echo: Server, started: AsyncDisposableStack) {
    this.all = all
    this.echo = echo
    this.#started = started
  }

  static async start({ dir, progress, quick }: Bench, cores: TwoCores, sizes: readonly number[]): Promise<Subjects> {
    await using started = new AsyncDisposableStack()
    const native = await nativeCedar(!quick, progress)
    const port = await freePort()
    const echo = started.use(await Server.start({ main: own, args: ['echo'], env: {}, port, cores }))
    const all: Subject[] = []
    for (const policies of sizes) {
      progress(`pdp: starting with ${policies} policies`)
      const plain = started.use(await startPlain(dir, policies, cores))
      all.push({ mode: 'plain', policies, server: plain, caller: new PlainCaller() })
      if (native !== undefined) {
        const nativePort = await freePort()
        const args = [folderOf(dir, policies), String(nativePort)]
        const server = started.use(await Server.run(native, args, { port: nativePort, cores }))
        await sameAnswers(plain, server)
        all.push({ mode: 'native Cedar', policies, server, caller: new PlainCaller() })
      }
      for (const mode of ['full', 'full, no evidence'] as const) {
        const place = await granted(dir, trees, { policies: (starter) => grantPolicies(starter, policies) })
        const server = started.use(await startFull(place, mode === 'full' ? 'evidence' : 'none', cores))
        const caller = new GrantCaller(place)
        await caller.learnNonce(server.url)
        all.push({ mode, policies, server, caller })
      }
    }
    return new Subjects(all, echo, started.move())
  }

  /** The subject of this kind. */
  of(mode: Subject['mode'], policies: number): Subject {
    const found = this.all.find((each) => each.mode === mode && each.policies === policies)
    if (!found) throw new Error(`no ${mode} of ${policies} policies`)
    return found
  }

  /** Whether Cedar itself could be built here. */
  get hasNative(): boolean {
    return this.all.some(({ mode }) => mode === 'native Cedar')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#started[Symbol.asyncDispose]()
  }
}

const folderOf = (dir: string, policies: number) => join(dir, `policies-${policies}`)

async function startPlain(dir: string, policies: number, cores: TwoCores): Promise<Server> {
  const directory = folderOf(dir, policies)
  writeFolderPolicies(directory, policies)
  const env = { BAILIWICK_POLICIES: directory, BAILIWICK_DATA: join(dir, 'none') }
  return await Server.start({ main: plainPdp, args: [], env, port: await freePort(), cores })
}

function startFull({ data, url }: Place, recorded: 'evidence' | 'none', cores: TwoCores): Promise<Server> {
  const env = {
    BAILIWICK_DATA: data,
    BAILIWICK_CREDENTIAL_SECONDS: '600',
    BAILIWICK_AGENT_CALLS_PER_SECOND: '1000000',
  }
  return Server.start({ main: own, args: ['decide', recorded], env, port: Number(new URL(url).port), cores })
}
