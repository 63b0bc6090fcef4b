const tests = '\\.(test|contract|fixture|test-data|int\\.test)\\.ts$'

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-service-imports-a-service',
      comment:
        'Services are split where trust splits: they meet on the bus or over HTTP. Standalone is one trust domain.',
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: ['^services/standalone/', tests] },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    {
      name: 'standalone-starts-services-and-nothing-else',
      severity: 'error',
      from: { path: '^services/standalone/' },
      to: { path: '^services/', pathNot: ['^services/standalone/', '^services/[^/]+/src/start\\.ts$'] },
    },
    {
      name: 'packages-know-no-service',
      comment:
        'A library that knew a service could not be used by another. Testkit is for tests, and starts the whole.',
      severity: 'error',
      from: { path: '^packages/', pathNot: '^packages/testkit/' },
      to: { path: '^services/' },
    },
    {
      name: 'testkit-is-for-tests',
      severity: 'error',
      from: { path: '^(packages|services)/', pathNot: ['^packages/testkit/', tests] },
      to: { path: '^packages/testkit/' },
    },
    {
      name: 'native-is-for-tests',
      comment: 'A service finds its Kafka and Redis in its settings; only testkit and tests start one.',
      severity: 'error',
      from: { path: '^(packages|services)/', pathNot: ['^packages/testkit/', tests] },
      to: { path: '^infra/' },
    },
    {
      name: 'native-stands-alone',
      comment: 'Adapters are tested on what it starts: it may not stand on one.',
      severity: 'error',
      from: { path: '^infra/' },
      to: { path: '^(packages|services|test)/', pathNot: '^packages/errors/' },
    },
    {
      name: 'pure-packages-do-no-io',
      comment: 'What carries the security argument can be read, tested and ported without a file or a socket.',
      severity: 'error',
      from: {
        path: '^packages/(contracts|errors|authority|tlog|kit/src/json)/',
        pathNot: [tests, '/(examples|generate)/'],
      },
      to: { path: '^(node:)?(fs|net|http|https|child_process|dgram|tls|dns)(/|$)' },
    },
    {
      name: 'agents-and-points-install-no-server',
      comment:
        'Others install these in their own programs: agents, enforcement points, and auditors with verify. The plug-in of pep takes only the types of fastify, which its user brings. @simplewebauthn/server, of approval-statement, verifies signatures and opens nothing.',
      severity: 'error',
      from: {
        path: '^packages/(agent|approval-statement|authority|contracts|credentials|errors|kit|mcp|pep|projection|tlog|verify)/src/',
        pathNot: [tests, '^packages/pep/src/(fastify|answer-gate)\\.ts$'], // import types of fastify alone
      },
      to: {
        path: '(^|/)node_modules/(fastify|@fastify|fastify-type-provider-zod|helmet|pino|prom-client|lmdb|kafkajs|ioredis|undici)/|^(node:)?sqlite$|^packages/(host|bus|grant-store|installation|relay)/',
      },
    },
    {
      name: 'audit-shares-no-folding',
      comment:
        'The audit is the oracle of the system tests: what it had in common with the services, it would not find wrong.',
      severity: 'error',
      from: { path: '^packages/verify/src/audit/', pathNot: tests },
      to: {
        path: '^packages/(projection|policy)/|^packages/verify/src/(trace|bundle|report|log/(genesis|recorded-log|signed-leaf))',
      },
    },
    {
      name: 'kafka-client-has-one-owner',
      severity: 'error',
      from: { pathNot: '^packages/bus/src/kafka/' },
      to: { path: '(^|/)node_modules/kafkajs/' },
    },
    {
      name: 'redis-client-has-one-owner',
      severity: 'error',
      from: { pathNot: '^packages/grant-store/src/redis/' },
      to: { path: '(^|/)node_modules/ioredis/' },
    },
    {
      name: 'lmdb-is-in-adapters',
      comment: 'The leaf index of evidence is no port: it can be rebuilt from the log.',
      severity: 'error',
      from: { pathNot: ['^packages/(bus|grant-store)/src/embedded/', '^services/evidence/src/'] },
      to: { path: '(^|/)node_modules/lmdb/' },
    },
    {
      name: 'jose-has-one-owner',
      severity: 'error',
      from: { pathNot: ['^packages/credentials/src/', '^test/'] },
      to: { path: '(^|/)node_modules/jose/' },
    },
    {
      name: 'cedar-has-one-owner',
      severity: 'error',
      from: { pathNot: '^packages/policy/src/' },
      to: { path: '(^|/)node_modules/@cedar-policy/' },
    },
    {
      name: 'undici-has-one-owner',
      comment: 'Requests to what stands behind a relay. All others use fetch, or outgoing of host.',
      severity: 'error',
      from: { pathNot: '^packages/relay/src/http/' },
      to: { path: '(^|/)node_modules/undici/' },
    },
    {
      name: 'contracts-import-zod-only',
      comment: 'Except the one strict JSON parser.',
      severity: 'error',
      from: { path: '^packages/contracts/src/', pathNot: [tests, '/generate/'] },
      to: { pathNot: ['^packages/contracts/src/', '^packages/kit/src/json/', '(^|/)node_modules/zod/'] },
    },
    {
      name: 'adapters-are-chosen-in-one-place',
      comment: 'No other code can tell which adapter is in use.',
      severity: 'error',
      from: {
        path: '^(services|packages)/',
        pathNot: [
          '^packages/host/src/process/adapters\\.ts$',
          '^packages/cli/src/commands/kafka\\.ts$', // makes what the adapter needs; chooses nothing
          tests,
          '^packages/testkit/',
          '^packages/(bus|grant-store)/src/(embedded|kafka|redis)/',
        ],
      },
      to: { path: '^packages/(bus|grant-store)/src/(embedded|kafka|redis)/' },
    },
    {
      name: 'a-process-without-bus-loads-none',
      comment:
        'The plain decision point, the gateway and the witness use openServers of @bailiwick/host. @bailiwick/host/process would load the embedded bus, with its native library.',
      severity: 'error',
      from: { path: '^(services/(plain-pdp|gateway)/src/main|packages/cli/src/witness/start-witness)\\.ts$' },
      to: { path: '^packages/host/src/process/adapters\\.ts$', reachable: true },
    },
    {
      name: 'console-is-a-page',
      comment:
        'What runs in the browser reaches the services over HTTP, and what it does not know of them it cannot leak. The code that verifies receipts is the CLI’s: two could differ.',
      severity: 'error',
      from: { path: '^packages/console/src/' },
      to: { path: '^(packages|services|infra|test)/', pathNot: '^packages/(console|tlog)/' },
    },
    {
      name: 'browser-libraries-are-the-console’s',
      severity: 'error',
      from: { pathNot: '^packages/console/' },
      to: { path: '(^|/)node_modules/(react|react-dom|@tanstack|uplot|@noble)/' },
    },
    {
      name: 'resolvable',
      comment: 'The judges have packages of their own, which are installed only for their tests.',
      severity: 'error',
      from: { pathNot: '^test/judges/[^/]+\\.mjs$' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.json'],
    },
  },
}
