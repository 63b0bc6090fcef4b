import { globSync } from 'node:fs'
import { join } from 'node:path'

/** What is mutated, and the tests that must notice: first those that are quick to, since a mutant dies of the first. */
export interface Subject {
  mutate: readonly string[]
  tests: readonly string[]
}

const root = join(import.meta.dirname, '../..')
const sources = (folder: string, names: string) =>
  names
    .trim()
    .split(/\s+/)
    .map((name) => `${folder}/${name}.ts`)
const testsOf = (folder: string, names: string) => sources(folder, names).map((name) => name.replace(/ts$/, 'test.ts'))

/** All of a folder but tests, what tests alone need, and the list of exports. */
const sourcesIn = (folder: string) =>
  globSync(`${folder}/*.ts`, { cwd: root }).filter(
    (name) => !/(\.test|\.fixture|small-universe|\/index)\.ts$/.test(name),
  )

const authority = 'packages/authority/src'
const policy = 'packages/policy/src'
const pdp = 'services/policy-decision/src'
const evidence = 'services/evidence/src'
const projection = 'packages/projection/src'

export const subjects: Record<string, Subject> = {
  authority: {
    mutate: sourcesIn(authority),
    tests: testsOf(
      authority,
      'vectors schema parse-authority pointer decimal resource path unseen place-uses describe divide covers narrows intersect',
    ),
  },
  /** What stands between an AuthZEN request and Cedar; not the commands over it (check, explain, trials, candidates). */
  cedar: {
    mutate: sources(
      policy,
      `cedar exact-json asserted-values ask-cedar entity-store policy-reads policy-obligations
       policy-slices authzen-policies cedar-policies cedar-engine preparse action-view
       schema-shapes authzen-mapping policy-set remembered-answers`,
    ),
    tests: testsOf(
      policy,
      `cedar exact-json preparse ask-cedar action-view schema-shapes asserted-values policy-reads authzen-mapping remembered-answers
       policy-obligations policy-set cedar-engine check-policies starter-policies authzen-policies policy-slices entity-store
       cedar-policies`,
    ),
  },
  /** The steps of DESIGN §7.4, as far as tests without a whole system reach them; the rest is for test/mutants. */
  pipeline: {
    mutate: [
      ...sources(policy, 'evaluate-each history-facts known-history'),
      ...sources(
        pdp,
        `judge judge-policies life chain history budget obligations continuity evaluation-request access-request-offer
       proofs catch-up calls by-registry turns decide tree-queue store-order outcomes step-ups verify-credential`,
      ),
    ],
    tests: [
      ...testsOf(policy, 'evaluate-each history-facts known-history'),
      ...testsOf(
        pdp,
        `tree-queue store-order outcomes decide by-registry turns calls life judge chain step-ups verify-credential evaluation-request catch-up obligations access-request-offer continuity budget
         trifecta-orders proofs history`,
      ),
      'test/reference/decide.test.ts',
    ],
  },
  /** Of evidence: what writes the log and says that it is whole, what takes events into it, and what it tells of. */
  evidence: {
    mutate: sources(
      evidence,
      `log log-reader log-writer tree-head entered sequencer announce assert-bus-kept assert-log-kept skipped
       ingest judge-leaf park
       chain gaps lag watch watch-outcomes watch-policies told-outcomes told-files outcome-links`,
    ),
    tests: testsOf(
      evidence,
      `chain gaps lag watch watch-outcomes watch-policies outcome-links told-files told-outcomes skipped ingest judge-leaf
       assert-bus-kept assert-log-kept tree-head entered announce log-reader log-writer sequencer log`,
    ),
  },
  /** What every service makes of the events on the bus. */
  projection: {
    mutate: sourcesIn(projection),
    // Who is alive, and what a credential must say, is tested where it is decided.
    tests: [...globSync(`${projection}/*.test.ts`, { cwd: root }), ...testsOf(pdp, 'life chain verify-credential')],
  },
}
