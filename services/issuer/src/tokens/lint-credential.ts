import { isDeepStrictEqual } from 'node:util'
import { narrows, parseAuthority } from '@bailiwick/authority'
import type { PublicJwk } from '@bailiwick/contracts'
import { claimsAsOthersDo, jcsHash, longestCredentialSeconds, readAsOthersDo } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Tree } from '@bailiwick/projection'
import { z } from 'zod'

interface Approved {
  tree: Tree
  /** The instance that proved itself, and the thumbprint of its key. */
  client: { instance: string; jkt: string }
  audience: readonly string[]
  delegationId?: string | undefined
}

const actSchema: z.ZodType<{ sub: string; act?: unknown }> = z.strictObject({
  sub: z.string(),
  act: z.unknown().optional(),
})

const readSchema = z.object({
  sub: z.string(),
  client_id: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  iat: z.int(),
  exp: z.int(),
  jti: z.string(),
  cnf: z.strictObject({ jkt: z.string() }),
  authorization_details: z.tuple([z.unknown()]),
  grant: z.strictObject({
    id: z.string(),
    root: z.string(),
    request: z.string(),
    mode: z.string(),
    statement_hash: z.string(),
    as_of: z.int(),
    delegation: z.string().optional(),
  }),
  act: z.unknown().optional(),
})
/** The claims, with the name of the key that verified them. */
type Read = z.infer<typeof readSchema> & { kid: string }

const linkSchema = z.object({
  sub: z.string(),
  exp: z.int(),
  authorization_details: z.tuple([z.unknown()]),
  resources: z.array(z.string()).optional(),
})

/**
 * Checks what was signed against what was approved, before it leaves (V4, V5). Shares no code with the minting: another library reads the
 * token. What it may say comes from the statement that people signed, from the delegations as their makers signed them, and from the
 * intent in the log. Throws `invariant_broken`, which names the fault: a wrong credential never leaves.
 */
export async function lintCredential(
  token: string,
  reading: { jwk: PublicJwk; issuer: string; now: number },
  approved: Approved,
): Promise<void> {
  const verified = await readAsOthersDo(token, { ...reading, audience: approved.audience })
  const read = readSchema.safeParse(verified?.claims)
  const wrong = verified && read.success ? faultOf({ ...read.data, kid: verified.kid }, approved) : 'form'
  if (wrong !== undefined)
    throw new ServiceError('invariant_broken', `a credential that does not say what was approved: ${wrong}`)
}

type Check = (read: Read, approved: Approved, links: readonly Link[]) => boolean
type Link = z.infer<typeof linkSchema>

/** The checks, each named after the fault that it finds. */
const checks: Readonly<Record<string, Check>> = {
  intent: ({ kid, jti, exp, iat, cnf, client_id, aud }, { tree, delegationId }) => {
    const intent = tree.credentials.get(jti)
    return (
      intent !== undefined &&
      !intent.issued &&
      intent.kid === kid &&
      intent.agent === client_id &&
      intent.jkt === cnf.jkt &&
      intent.delegation_id === delegationId &&
      isDeepStrictEqual(intent.audience, [aud].flat()) &&
      Date.parse(intent.issued_at) === iat * 1000 &&
      Date.parse(intent.expires_at) === exp * 1000
    )
  },
  subject: ({ sub }, { tree: { grant } }) => sub === grant.agent && mayBe(sub, grant.statement),
  client: ({ client_id }, { client, tree }, links) =>
    client_id === client.instance && client_id === (links.at(-1)?.sub ?? tree.grant.agent),
  key: ({ cnf }, { client }) => cnf.jkt === client.jkt,
  audience: ({ aud }, { audience }, links) =>
    isDeepStrictEqual([aud].flat(), [...audience]) &&
    links.every(({ resources }) => [aud].flat().every((each) => resources?.includes(each) ?? true)),
  life: ({ iat, exp }) => iat < exp && exp - iat <= longestCredentialSeconds,
  expiry: ({ exp }, { tree: { grant } }, links) =>
    exp * 1000 <= Date.parse(grant.statement.not_after) && links.every((link) => exp <= link.exp),
  grant: ({ grant: named }, { tree, delegationId }) => {
    const { statement } = tree.grant
    const { hash } = signedIn(statement)
    return isDeepStrictEqual(named, {
      id: `grt_${hash}`,
      root: tree.id,
      request: statement.request_id,
      mode: statement.mode,
      statement_hash: hash,
      as_of: statement.as_of,
      ...(delegationId === undefined ? {} : { delegation: delegationId }),
    })
  },
  authority: ({ authorization_details: [said] }, { tree: { grant } }, links) =>
    isOfStatement(said, grant.statement) && links.every((link) => isWithin(said, link.authorization_details[0])),
  delegates: (_, { tree: { grant } }, links) =>
    links.every(({ sub }, n) =>
      isListed(sub, n === 0 ? grant.statement.authority : links[n - 1]?.authorization_details[0]),
    ),
  act: ({ act }, _, links) => isDeepStrictEqual(actorsOf(act), links.map(({ sub }) => sub).reverse()),
}

/** Nearly always the claims say all that people signed, word for word. */
function isOfStatement(said: unknown, statement: Statement): boolean {
  const { authority } = statement
  return (signedIn(statement).isAuthority && isDeepStrictEqual(said, authority)) || isWithin(said, authority)
}

/** The statement's hash, and whether its authority is valid. Computed once, since a signed statement does not change. */
function signedIn(statement: Statement): Signed {
  const known = signed.get(statement)
  if (known) return known
  const found = { hash: jcsHash(statement), isAuthority: parseAuthority(statement.authority).ok }
  signed.set(statement, found)
  return found
}
type Statement = Tree['grant']['statement']
interface Signed {
  hash: string
  isAuthority: boolean
}
const signed = new WeakMap<Statement, Signed>()

function faultOf(read: Read, approved: Approved): string | undefined {
  const links = linksOf(approved)
  if (links === undefined) return 'delegations'
  return Object.entries(checks).find(([, holds]) => !holds(read, approved, links))?.[0]
}

/** The delegations from the first to the redeemed one, each as its maker signed it. */
function linksOf({ tree, delegationId }: Approved): Link[] | undefined {
  const links: Link[] = []
  for (let id = delegationId; id !== undefined; ) {
    const redeemed = tree.delegations.get(id)
    const link = linkSchema.safeParse(redeemed && claimsAsOthersDo(redeemed.delegation))
    // Longer than any chain may be, so it is a ring.
    if (!link.success || links.length > 8) return undefined
    links.unshift(link.data)
    id = redeemed?.parent
  }
  return links
}

/** The instance that people saw, or, if they let the grant move, another instance of the same agent. */
function mayBe(sub: string, { agent, rebind }: Tree['grant']['statement']): boolean {
  const agentOf = (instance: string) => instance.slice(0, instance.lastIndexOf('/'))
  return sub === agent || (rebind === 'attested' && agentOf(sub) === agentOf(agent))
}

/** Read from the signed claims directly, without the authority parser. A list of delegates must include this link's agent. */
function isListed(sub: string, above: unknown): boolean {
  const { delegates } = Object(above)
  return delegates === undefined || (Array.isArray(delegates) && delegates.includes(sub.slice(0, sub.lastIndexOf('/'))))
}

function isWithin(said: unknown, above: unknown): boolean {
  const [child, parent] = [parseAuthority(said), parseAuthority(above)]
  return child.ok && parent.ok && narrows(child.authority, parent.authority).narrower
}

/** Outermost first. An invalid actor makes a list that matches no chain. */
function actorsOf(act: unknown): string[] {
  if (act === undefined) return []
  const actor = actSchema.safeParse(act)
  return actor.success ? [actor.data.sub, ...actorsOf(actor.data.act)] : ['?']
}
