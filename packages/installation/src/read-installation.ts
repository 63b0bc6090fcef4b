import { existsSync, readFileSync } from 'node:fs'
import { parseTrust, type Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { type Genesis, parseGenesis } from './genesis.ts'
import { paths } from './paths.ts'

export interface Installation {
  data: string
  trust: Trust
}

/** Whether `initialise` has completed here. */
export function isInitialised(data: string): boolean {
  return existsSync(paths(data).trust)
}

/** Reads the trust anchor. Throws `trust_invalid` if there is none: `bailiwick init` makes one. */
export function readInstallation(data: string): Installation {
  if (!isInitialised(data))
    throw new ServiceError('trust_invalid', `there is no installation in ${data}: run bailiwick init`)
  return { data, trust: parseTrust(readFileSync(paths(data).trust)) }
}

/** The first registry, which the issuer publishes into an empty topic. */
export function readGenesis(data: string): Genesis {
  return parseGenesis(readFileSync(paths(data).genesis))
}
