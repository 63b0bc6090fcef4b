import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import type { Trust } from '@bailiwick/credentials'
import type { Logger } from '@bailiwick/host'
import {
  type InitialEntities,
  initialise,
  isInitialised,
  type PolicyFiles,
  readInstallation,
  readPolicyFiles,
} from '@bailiwick/installation'
import { type Clock, type RandomSource, systemClock } from '@bailiwick/kit'
import { freePorts } from '@bailiwick/native'
import { sampleEntities } from '@bailiwick/standalone/sample'

/** The parts of a running system that agents, people and enforcement points use, in whichever processes it runs. */
export interface RunningSystem extends AsyncDisposable {
  /** Its one public address. */
  url: string
  data: string
  trust: Trust
  /** The bus as agents see it. */
  bus: Bus
  /** The address at which the sample invoices API must listen. */
  invoicesUrl: string
  clock: Clock
  random: RandomSource
  logger: Logger
}

export interface PlaceOptions {
  /** Kept when given; otherwise a folder that is removed with the system. */
  data?: string
  port?: number
  /** The address of the sample invoices API. Its base URL is in the registry. */
  invoicesPort?: number
  singleOperator?: boolean
  /** The initial registry, made from the sample's entries. */
  entities?: (sample: InitialEntities) => InitialEntities
  /** The initial policies, made from the starter set. */
  policies?: (starter: PolicyFiles) => PolicyFiles
  /** The machine's clock, unless given. */
  clock?: Clock
}

/** A place for a system: a data directory with an installation that has the sample registry, and free ports. */
export interface Place {
  data: string
  port: number
  url: string
  invoicesUrl: string
  trust: Trust
  /** Removes the folder, unless it was given. */
  leave(): void
}

const policies = join(import.meta.dirname, '../../../policies')

export async function preparePlace(options: PlaceOptions): Promise<Place> {
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'bailiwick-'))
  const port = options.port ?? (await freePort())
  const invoicesUrl = `http://localhost:${options.invoicesPort ?? (await freePort())}`
  const url = `http://localhost:${port}`
  if (!isInitialised(data)) {
    const entities = sampleEntities(data, invoicesUrl)
    const starter = readPolicyFiles(policies)
    initialise({
      data,
      publicUrl: url,
      singleOperator: options.singleOperator ?? true,
      now: (options.clock ?? systemClock).now(),
      randomBytes,
      policies: options.policies?.(starter) ?? starter,
      entities: options.entities?.(entities) ?? entities,
    })
  }
  return {
    data,
    port,
    url,
    invoicesUrl,
    trust: readInstallation(data).trust,
    leave() {
      if (options.data === undefined) rmSync(data, { recursive: true, force: true })
    },
  }
}

/** A free port, which stays reserved while this process lives. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}
