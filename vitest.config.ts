import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import LongFirst from './test/long-first.ts'

const nightly = process.env.BAILIWICK_NIGHTLY === '1'

// One module graph a worker: 1 s instead of 20 s for 100 files, and more than 1 s of a core for each that opens whole services.
// Modules keep no state, and each file closes what it opens.
const sharedModules = { isolate: false }

// What is only for the night is left out, not skipped: a closing line that counts it would say that a part is missing.
const chaos =
  process.env.BAILIWICK_NIGHTLY === '1' ? 'test/chaos/**/*.test.ts' : 'test/chaos/**/!(starved|recovery).test.ts'

/** By hand, because it fetches packages of Debian. */
const judges = process.env.BAILIWICK_DEBIAN_JUDGES === '1' ? 'test/judges/*.test.ts' : 'test/judges/!(dokuwiki).test.ts'

export default defineConfig({
  oxc: { target: 'esnext' }, // else the transform compiles `await using` away, and tests run other code than production
  test: {
    // A busy machine is no failure: a wait ends as soon as what it waits for is there, and these are for what never comes.
    testTimeout: 180_000,
    hookTimeout: 300_000, // hooks open whole worlds, and the first Kafka of a machine is fetched
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: Math.max(3, availableParallelism() - 1), // a file waits for a third of its time: two leave cores idle
    sequence: { sequencer: LongFirst },
    // Of workers, and of what they start: what V8 compiled is kept from one process to the next.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compile') },
    coverage: {
      provider: 'v8',
      include: ['{packages,services}/*/src/**/*.ts'],
      exclude: ['**/*.test.ts', '**/*.contract.ts', '**/main.ts'],
      reporter: ['text-summary', 'lcov'],
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{packages,services,infra}/*/src/**/*.test.ts'],
          exclude: ['**/*.int.test.ts'],
          ...sharedModules,
        },
      },
      {
        extends: true,
        test: {
          name: 'int',
          include: ['{packages,services,infra}/*/src/**/*.int.test.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/*.test.ts'],
          setupFiles: ['test/e2e/http-contracts.setup.ts'],
          ...sharedModules,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e-kafka', // the same files, on a real Kafka and a real Redis
          include: ['test/e2e/*.test.ts'],
          globalSetup: ['test/e2e/real-parts.setup.ts'],
          setupFiles: ['test/e2e/real-parts.skip.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'consumers',
          include: ['test/consumers/*.test.ts', 'test/infra/*.test.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: { name: 'parity', include: ['test/parity/*.test.ts'], sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['test/browser/*.test.ts'],
          globalSetup: ['test/browser/build.setup.ts'],
        },
      },
      { extends: true, test: { name: 'audit', include: ['test/{audit,bench,mutants,stryker}/*.test.ts'] } },
      {
        extends: true,
        // After all others: what it kills and holds up would be slow under their load for reasons that are not its own.
        test: { name: 'chaos', include: [chaos], sequence: { groupOrder: 2 } },
      },
      { extends: true, test: { name: 'abuse', include: ['test/abuse/*.test.ts'], ...sharedModules } },
      { extends: true, test: { name: 'reference', include: ['test/reference/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'abuse-kafka',
          // Those of the files whose attack goes through the bus or the grant store: what is forged on topics, said again, taken
          // over or read anew at a start; who is quicker, in any order of events; what races a revocation or would take it
          // back; what a memory of proofs must keep; and what people are attacked with, whose answers go the same way.
          include: [
            'anonymous-flood',
            'ask-flood',
            'callbacks-ssrf',
            'console',
            'csrf-clickjacking',
            'emergencies',
            'erasure',
            'event-id-taken',
            'first-come',
            'forged-approvals',
            'forged-events',
            'interleavings',
            'kept-calls',
            // Of the gateway: tasks, which a revocation ends. The others at night.
            'mcp-tasks',
            ...(nightly ? ['mcp-canaries', 'mcp-reach', 'mcp-shares', 'mcp-spellings', 'mcp-upstreams'] : []),
            'models-money',
            'poison',
            'proof-replay',
            'registry-switched-off',
            'relayed-streams',
            'retired-approver',
            'revocation-races',
            'revoked-stays-dead',
            'second-outcome',
            'self-approval',
            'shortened-genesis',
            'spoofing',
            'stolen-heads',
            'stolen-services',
            'webauthn-matrix',
          ].map((name) => `test/abuse/${name}.test.ts`),
          globalSetup: ['test/e2e/real-parts.setup.ts'],
          setupFiles: ['test/e2e/real-parts.skip.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        // By itself, at the end: it builds an image and starts twelve containers on an engine of its own, as root.
        test: { name: 'containers', include: ['test/containers/*.test.ts'], sequence: { groupOrder: 3 } },
      },
      {
        extends: true,
        // Programs of others, with packages of their own: `npm ci --ignore-scripts` in test/judges. Some wait for an event for a
        // fraction of a second, so nothing else runs beside them.
        test: { name: 'judges', include: [judges], sequence: { groupOrder: 4 } },
      },
      { extends: true, test: { name: 'architecture', include: ['test/architecture/*.test.ts'] } },
    ],
  },
})
