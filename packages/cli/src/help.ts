import type { Command, Option } from 'commander'

/** Commands by their users: the headings of `bailiwick --help`. */
export const roles: readonly (readonly [heading: string, commands: readonly string[]])[] = [
  ['You write an agent, or guard an API:', ['dev', 'request', 'requests', 'agent']],
  [
    'You run Bailiwick:',
    [
      'init',
      'serve',
      'gateway',
      'status',
      'registry',
      'policy',
      'agents',
      'keys',
      'revoke',
      'emergency',
      'erase',
      'recover',
      'backup',
      'restore',
      'kafka',
      'bench',
    ],
  ],
  [
    'You look at what happened, or verify it:',
    ['trace', 'events', 'report', 'audit', 'verify', 'receipt', 'prove', 'witness'],
  ],
]

/** Examples by command, each without `bailiwick` and the command's own words. */
export const examples: Readonly<Record<string, readonly string[]>> = {
  dev: ['--env .env.dev', '--approve answers.yaml --registry registry.yaml'],
  init: ['--public-url https://agents.example.com --registry registry.yaml', '--single-operator'],
  serve: [
    '',
    'policy-decision --port 8423',
    'policy-decision --plain --policies policies/',
    'gateway --config gateway.yaml',
  ],
  'gateway add': [
    'mcp billing --url http://127.0.0.1:3001/mcp --wait',
    'mcp reports -- npx -y @modelcontextprotocol/server-filesystem /srv/reports',
  ],
  'gateway diff': ['billing', 'billing --propose --wait'],
  'gateway inventory': ['', '--days 30 --look ~/projects'],
  'gateway operations': ['openapi.yaml'],
  'gateway pin': ['billing --config gateway.yaml'],
  'gateway record-login': ['https://office.example/login --name office --user svc-agent --password file:office.secret'],
  status: ['', '--json'],
  request: ['--agent spiffe://bailiwick.local/agent/reconciler/i1 --key agent.json --authority authority.json --wait'],
  requests: ['', '--all'],
  'agent run': [
    '--gateway https://gateway.example --agent spiffe://bailiwick.local/agent/reconciler/i1 --key agent.json --task task.json --mcp billing -- codex',
    '--gateway https://gateway.example --agent spiffe://bailiwick.local/agent/reconciler/i1 --key agent.json --grant grt_OeurkGxFPAd --openai acme -- node bot.mjs',
    '--gateway https://gateway.example --agent spiffe://bailiwick.local/agent/reconciler/i1 --key agent.json --grant grt_OeurkGxFPAd --postgres orders --session office -- psql',
  ],
  'agent connect': ['billing'],
  'agent hook': ['permit'],
  'agent mcp': [
    '--gateway https://gateway.example --server billing --agent spiffe://bailiwick.local/agent/reconciler/i1 --key agent.json',
  ],
  'agent postgres': [
    '--gateway https://gateway.example --database orders --grant grt_… --agent spiffe://bailiwick.local/agent/reconciler/i1 --key agent.json',
  ],
  'registry list': ['', 'agent'],
  'registry get': ['rule tasks'],
  'registry groups': [''],
  'registry apply': ['registry.yaml --dry-run', 'registry.yaml --wait'],
  'policy check': ['policies/'],
  'policy test': ['policies/'],
  'policy explain': ['policies/ request.json'],
  'policy replay': ['policies/ --day 2026-11-28'],
  'policy diff': ['policies/ candidate/ --task reconcile-q3-invoices'],
  'policy shadow': ['candidate/', '--stop'],
  'policy propose': ['policies/'],
  'policy evaluate': ['policies/ --batch requests.jsonl'],
  recover: ['--approver olivia --name "Olivia Owner" --groups owners,finance'],
  'keys list': [''],
  'keys prepare': ['credential --root-key /media/root/root.json'],
  'keys agent': [
    'spiffe://bailiwick.local/agent/reconciler --owner olivia',
    'spiffe://bailiwick.local/agent/reconciler --owner olivia --instance i2 --out keys',
  ],
  'keys point': ['invoices-api --resource tool:invoices/read --base-url https://invoices.example.com'],
  'keys auditor': [''],
  'keys activate': ['Xk3'],
  'keys taint': ['Xk3'],
  'keys revoke': ['Xk3'],
  backup: ['/backup/bailiwick-2026-11-29'],
  restore: ['/backup/bailiwick-2026-11-29 --data /srv/bailiwick'],
  emergency: [
    '--identity spiffe://acme.example/emergency/olga --authority repair.json --reason "The ledger is wrong" --key emergency.json',
  ],
  revoke: [
    'grant grt_OeurkGxFPAd --reason incident',
    'agent spiffe://bailiwick.local/agent/reconciler --reason incident --dry-run',
  ],
  'agents join-token': ['spiffe://bailiwick.local/agent/reconciler --instance i2'],
  trace: ['dec_01M8JA9JJDSGVD6K2M0G3HAY14'],
  events: ['--type decision.denied', '--agent spiffe://bailiwick.local/agent/reconciler'],
  report: ['--from 2026-10-01 --to 2026-10-31 --html', 'emergency'],
  prove: ['dec_01M8JA9JJDSGVD6K2M0G3HAY14'],
  erase: ['req_nVGS96kafLfxIKyvmc6pzCDwCaD8Zf0Qb6Y7E9Tlnms --reason personal_data'],
  audit: ['', '--log evidence/log --trust trust.json'],
  receipt: ['01M8JA9JJDSGVD6K2M0G3HAY14', '--check receipt.txt --vkey log.vkey'],
  verify: ['', '--log https://agents.example.com/log --vkey log.vkey', 'proof.json --root trust.json'],
  witness: ['--logs logs.txt --port 8430'],
  'witness init': ['witness.example/audit'],
  'kafka topics apply': [''],
  'kafka topics check': [''],
  'kafka acls apply': [''],
  'kafka acls check': [''],
  bench: ['decisions issuance --quick', 'pdp'],
}

/** Groups the commands of `program` by role, adds an example to each, and marks the options that a command requires. */
export function withHelp(program: Command): void {
  for (const [heading, names] of roles)
    for (const command of program.commands) if (names.includes(command.name())) command.helpGroup(heading)
  decorate(program, [])
}

function decorate(command: Command, path: readonly string[]): void {
  command.configureHelp({ optionTerm: (option: Option) => `${option.flags}${option.mandatory ? '  (required)' : ''}` })
  const own = examples[path.join(' ')]
  if (own !== undefined) {
    const lines = own.map((words) => `  bailiwick ${[...path, words].join(' ').trimEnd()}`)
    command.addHelpText('after', ['', own.length === 1 ? 'Example:' : 'Examples:', ...lines].join('\n'))
  }
  for (const each of command.commands) decorate(each, [...path, each.name()])
}
