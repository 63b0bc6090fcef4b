import type { Era, JsonObject } from '@bailiwick/mcp'
import type { Agent } from '../agent.ts'
import type { StandingGrant } from './standing-grant.ts'

export interface SidecarOptions {
  agent: Agent
  /** The gateway's address, without a path. */
  gateway: string
  /** The server, as the gateway's paths name it. */
  server: string
  /** Its name in the registry, if it is another. The gateway says it unless given. */
  toolServer?: string
  /** The installation's address: people answer in its console. */
  publicUrl: string
  /** A grant that exists already. */
  grantId?: string
  /** In place of `grantId`: several, of which each action is done under one that covers it. */
  standing?: readonly StandingGrant[]
  /** Tools that are shown before they are granted, as people approved them. */
  catalogue?: readonly JsonObject[]
  /** How long a call stays open while a human decides, in seconds, at most 55. Default 0: it is answered at once. */
  holdSeconds?: number
  /** What is spoken before there is a grant, when the server cannot be asked. Default `legacy`, which every client can speak. */
  era?: Era
  random: (n: number) => Uint8Array
  /** Called when a grant is given back at the client's own wish. `completion` rejects if it could not be. */
  onCompleting?: (grantId: string, completion: Promise<void>) => void
  /** Takes lines that a person should read. None contains a secret. */
  report?: (line: string) => void
}
