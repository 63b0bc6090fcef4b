import { kafkaAdmin, kafkaConnection } from '@bailiwick/bus/kafka'
import { kafkaAcls, kafkaTopics } from '@bailiwick/contracts'
import { lacks, startKafka } from '@bailiwick/native'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bailiwick } from '../io.fixture.ts'

describe.skipIf(lacks('secure-kafka'))('bailiwick kafka', () => {
  let kafka: Awaited<ReturnType<typeof startKafka>>
  let env: Record<string, string>

  beforeAll(async () => {
    kafka = await startKafka({ secure: { users: ['issuer'] } })
    env = {
      BAILIWICK_BUS: `kafka://${kafka.brokers.join(',')}`,
      BAILIWICK_KAFKA_CA: kafka.security?.caFile ?? '',
      BAILIWICK_KAFKA_PASSWORD_FILE: kafka.security?.passwordFile('admin') ?? '',
      BAILIWICK_DEV: '1',
    }
  })
  afterAll(async () => {
    await kafka?.[Symbol.asyncDispose]()
  })

  const rights = kafkaAcls()
  const allRights = `All ${rights.length} rights are as declared, and there are no others to these topics and groups.`

  it('makes the topics, once, and finds them as declared', async () => {
    const before = await bailiwick(['kafka', 'topics', 'check'], { env })
    expect(before.code).toBe(1)
    expect(before.out.split('\n')).toHaveLength(kafkaTopics().length)
    expect(before.err).toBe(`${kafkaTopics().length} things are not as declared.`)

    const made = await bailiwick(['kafka', 'topics', 'apply'], { env })
    expect(made.code).toBe(0)
    expect(made.out.split('\n')).toEqual([
      ...kafkaTopics().map(({ name }) => `created  ${name}`),
      `All ${kafkaTopics().length} topics are as declared.`,
    ])
    expect((await bailiwick(['kafka', 'topics', 'check'], { env })).code).toBe(0)
  })

  it('is content with one broker in development only', async () => {
    const { BAILIWICK_DEV: _, ...strict } = env
    const { code, out } = await bailiwick(['kafka', 'topics', 'check'], { env: strict })
    expect(code).toBe(1)
    expect(out).toContain('revocations.v1: replication is 1, not 3 or more')
    expect(out).toContain('revocations.v1: min.insync.replicas is 1, not 2 or more')
  })

  /** Gives a principal the right that only approval has: to write approvals. */
  async function giveRight(principal: string): Promise<void> {
    const right = rights.find(({ operation, resourceName }) => operation === 'WRITE' && resourceName === 'approvals.v1')
    if (right === undefined) throw new Error('no user may write approvals')
    const settings = { ...env, BAILIWICK_DEV: false }
    await using admin = await kafkaAdmin(
      kafkaConnection(kafka.brokers, settings, { clientId: 'kafka-int-test', user: 'admin' }),
    )
    await admin.applyAcls([{ ...right, principal }])
  }

  it('gives the rights that are declared, and takes away the others when the operator asks for it', async () => {
    const given = await bailiwick(['kafka', 'acls', 'apply', '--json'], { env })
    expect(given.code).toBe(0)
    expect(JSON.parse(given.out)).toEqual({ created: expect.any(Array), deleted: [], differences: [] })
    expect(JSON.parse(given.out).created).toHaveLength(rights.length)
    expect((await bailiwick(['kafka', 'acls', 'check'], { env })).out).toBe(allRights)

    await giveRight('User:mallory')
    const said = 'not declared: ALLOW User:mallory WRITE on TOPIC approvals.v1'
    expect(await bailiwick(['kafka', 'acls', 'check'], { env })).toEqual({
      code: 1,
      out: said,
      err: '1 thing is not as declared.',
    })
    expect((await bailiwick(['kafka', 'acls', 'apply'], { env })).out).toBe(said)
    expect(await bailiwick(['kafka', 'acls', 'apply', '--prune'], { env })).toEqual({
      code: 0,
      out: `deleted  ALLOW User:mallory WRITE on TOPIC approvals.v1\n${allRights}`,
      err: '',
    })
  })

  it('lets the readers that are named read, and calls their rights undeclared where they are not named', async () => {
    const given = await bailiwick(['kafka', 'acls', 'apply', '--reader', 'siem'], { env })
    expect(given.code).toBe(0)
    expect(given.out).toContain('created  ALLOW User:siem READ on TOPIC evidence.v1')
    expect((await bailiwick(['kafka', 'acls', 'check', '--reader', 'siem'], { env })).code).toBe(0)
    const { code, out } = await bailiwick(['kafka', 'acls', 'check'], { env })
    expect(code).toBe(1)
    expect(out).toContain('not declared: ALLOW User:siem READ on TOPIC evidence.v1')
  })

  it('does nothing for a user who may not: nor tells it more than that', async () => {
    const asIssuer = {
      ...env,
      BAILIWICK_KAFKA_USER: 'issuer',
      BAILIWICK_KAFKA_PASSWORD_FILE: kafka.security?.passwordFile('issuer') ?? '',
    }
    for (const verb of ['apply', 'check']) {
      const { code, err } = await bailiwick(['kafka', 'acls', verb], { env: asIssuer })
      expect(code).toBe(2)
      expect(err).toMatch(/CLUSTER_AUTHORIZATION_FAILED\) \(caller_forbidden\)$/)
    }
    // The service sees that its own topics are correct, and sees no others: those in which it has no part are reported as missing.
    const { code, out } = await bailiwick(['kafka', 'topics', 'check'], { env: asIssuer })
    expect(code).toBe(1)
    expect(out.split('\n')).toContain('attachments.approval.v1: is missing, or this user may not see it')
    expect(out).not.toContain('grants.v1:')
  })

  it('says that a password is wrong, and not what it is', async () => {
    const { code, err } = await bailiwick(['kafka', 'topics', 'check'], {
      env: { ...env, BAILIWICK_KAFKA_USER: 'issuer' },
    })
    expect({ code, err }).toEqual({
      code: 2,
      err: 'bailiwick: Kafka does not take this user and password (caller_unauthenticated)',
    })
  })
})
