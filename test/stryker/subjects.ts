import { globSync } from 'node:fs'
import { join } from 'node:path'

/** The mutated files, and the tests that must notice the mutants: the quickest first, because the first one kills a mutant. */
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

/** All files of a folder, except tests, files that only tests need, and the list of exports. */
const sourcesIn = (folder: string) =>
  globSync(`${folder}/*.ts`, { cwd: root }).filter(
    (name) => !/(\.test|\.fixture|small-universe|\/index)\.ts$/.test(name),
  )

const authority = 'packages/authority/src'
const policy = 'packages/policy/src'
const pdp = 'services/policy-decision/src'
const evidence = 'services/evidence/src'
const projection = 'packages/projection/src'
const instance = 'packages/instance/src'

export const subjects: Record<string, Subject> = {
  authority: {
    mutate: sourcesIn(authority),
    tests: testsOf(
      authority,
      'vectors schema parse-authority pointer decimal resource path unseen place-uses describe divide covers narrows intersect',
    ),
  },
  /** The code between an AuthZEN request and Cedar; not the commands over it (check, explain, trials, candidates). */
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
  /** Compiled policies; the random comparison with Cedar is in test/reference. */
  compiled: {
    mutate: sourcesIn(`${policy}/compiled`),
    tests: testsOf(
      `${policy}/compiled`,
      'longs patterns one-in engine-watch policy-index exact-policy compiled-answers schemas compiled-policies expressions extensions',
    ),
  },
  /** The steps of DESIGN §7.4, as far as tests without a whole system reach them; test/mutants covers the rest. */
  pipeline: {
    mutate: [
      ...sources(policy, 'evaluate-each history-facts known-history'),
      'packages/authzen/src/obligations.ts',
      ...sources(
        pdp,
        `decide why-not-again
         steps/steps steps/table steps/enforcement-point steps/credential steps/proof steps/recorded steps/alive steps/authority
         steps/call steps/policy steps/policy-requests steps/step-up steps/budget steps/reserve steps/duties
         state/history state/continuity state/proofs state/by-registry state/step-ups
         record/allowed-event record/permit record/named-arguments record/acted-as
         record/access-request-offer http/evaluation-request
         order/decision order/catch-up order/calls order/turns order/tree-queue order/store-order order/store-amounts
         outcomes/outcomes`,
      ),
    ],
    tests: [
      ...testsOf(policy, 'evaluate-each history-facts known-history'),
      'packages/authzen/src/obligations.test.ts',
      ...testsOf(
        pdp,
        `order/tree-queue order/store-order outcomes/outcomes decide state/by-registry order/turns order/calls
         steps/steps steps/alive steps/table steps/authority record/acted-as state/step-ups steps/verified
         http/evaluation-request order/catch-up record/access-request-offer state/continuity
         steps/reserve steps/trifecta-orders state/proofs state/history`,
      ),
      'test/reference/decide.test.ts',
    ],
  },
  /** The parts of evidence that write the log and check that it is complete, that take events into it, and that report findings. */
  evidence: {
    mutate: sources(
      evidence,
      `log/log log/log-reader log/log-writer log/tree-head log/entered log/sequencer log/announce log/assert-bus-kept log/assert-log-kept
       ingest/ingest ingest/judge-leaf ingest/park ingest/skipped
       findings/gaps findings/lag findings/watch findings/watch-outcomes findings/watch-policies findings/told-outcomes findings/told-files
       index/chain index/outcome-links`,
    ),
    tests: testsOf(
      evidence,
      `index/chain findings/gaps findings/lag findings/watch
       findings/watch-outcomes findings/watch-policies index/outcome-links
       findings/told-files findings/told-outcomes ingest/skipped ingest/ingest ingest/judge-leaf
       log/assert-bus-kept log/assert-log-kept log/tree-head log/entered log/announce
       log/log-reader log/log-writer log/sequencer log/log`,
    ),
  },
  /** The state that every service folds from the events, and how it reads them from the bus. */
  projection: {
    mutate: [projection, instance].flatMap(sourcesIn),
    // Who is alive, and what a credential must say, is tested where it is decided.
    tests: [
      ...[projection, instance].flatMap((folder) => globSync(`${folder}/*.test.ts`, { cwd: root })),
      ...testsOf(pdp, 'steps/alive steps/authority steps/verified'),
    ],
  },
}
