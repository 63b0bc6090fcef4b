import { type Agent, entitySchemas } from '@bailiwick/contracts'
import { generateKey, keyFilePath, writeKeyFile } from '@bailiwick/credentials'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { fileNameOf, usableEntry } from '../new-entry.ts'

interface AgentOptions {
  owner: string
  name?: string
  instance: string
  out: string
}

/** `keys agent`: the key of an agent's instance, and the registry entry that names it. */
export function keysAgentCommand(keys: Command, io: Io, done: (code: ExitCode) => void): void {
  keys
    .command('agent')
    .summary('make the key of an agent, and its entry for the registry')
    .description(
      'Makes the key of one instance of an agent and prints the entry that registers it, in YAML for `registry apply`. The agent may ask ' +
        'once people approved the entry. It can do nothing by it: each task needs an approval of its own.',
    )
    .argument('<id>', 'its SPIFFE ID: spiffe://<trust domain>/agent/<name>')
    .requiredOption('--owner <id>', 'the approver who answers for it')
    .option('--name <name>', 'as people know it; the last part of its id unless given')
    .option('--instance <name>', 'the name of the instance that has the key', 'i1')
    .option('--out <dir>', 'the folder of the key file', '.')
    .action((id: string, { owner, instance, out, name = id.slice(id.lastIndexOf('/') + 1) }: AgentOptions) => {
      const key = generateKey('agent')
      const agent: Agent = usableEntry(entitySchemas.agent, {
        id,
        name,
        owner,
        attestor: { kind: 'registered_key', keys: [{ instance, jwk: key.publicJwk }] },
        labels: [],
        proactive_requests: true,
      })
      const file = fileNameOf(`${name}-${instance}`)
      writeKeyFile(out, file, key)
      io.err(
        `The key is in ${keyFilePath(out, file)}: give it to this instance alone. Add the entry to your registry file, then: bailiwick registry apply FILE`,
      )
      for (const line of stringify({ agents: [agent] }, { lineWidth: 0 })
        .trimEnd()
        .split('\n'))
        io.out(line)
      done(exitCodes.ok)
    })
}
