import { labelsOfTool, toolServerOf } from '@bailiwick/approval-statement'
import { type Agent, agentIdOf, type PolicySet } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { isPolicyFile, type PolicyFiles, policySetOf } from '@bailiwick/installation'
import { Semaphore, SerialQueue } from '@bailiwick/kit'
import { type PolicyTask, type PolicyTaskDone, tryAside } from '@bailiwick/policy/aside'
import type { Approval } from '../context.ts'

/** As much as the page of a change shows. */
const mostBytes = 1024 * 1024

/** One set at a time, and one of each person: a set that takes long delays its own author, and the others by one set. */
export class PolicyTrials {
  readonly #people = new SerialQueue({ maxPerKey: 3, max: 64 })
  readonly #all = new Semaphore(1, 64)

  /** Throws `request_malformed` for a set or a question that cannot be read, or takes too long. */
  run<T extends PolicyTask>(person: string, task: T): Promise<PolicyTaskDone[T['do']]> {
    return this.#people.serially(person, () =>
      this.#all.run(async () => {
        try {
          return await tryAside(task)
        } catch (error) {
          if (!(error instanceof ServiceError) || error.code !== 'config_invalid') throw error
          throw new ServiceError('request_malformed', error.detail)
        }
      }),
    )
  }
}

/** The files of a set that a page sent. Throws `request_malformed` for a name that no policy directory has, and for too much text. */
export function policyFilesOf(texts: Readonly<Record<string, string>>): PolicyFiles {
  const names = Object.keys(texts).sort()
  const stray = names.find((name) => !isPolicyFile(name))
  if (stray !== undefined)
    throw new ServiceError('request_malformed', `files: ${stray}: a name such as rules.cedar, or schema.cedarschema`)
  if (!names.some((name) => name.endsWith('.cedar')))
    throw new ServiceError('request_malformed', 'files: none of them ends with .cedar')
  const files = new Map(names.map((name) => [name, new TextEncoder().encode(texts[name])]))
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0)
  if (bytes > mostBytes) throw new ServiceError('request_malformed', `files: more than ${mostBytes} bytes`)
  return files
}

/** The entity of a set, as the registry holds it. */
export const entityOf = (files: PolicyFiles, permitsNothing: boolean): PolicySet => ({
  ...policySetOf(files),
  ...(permitsNothing ? { permits_nothing: true as const } : {}),
})

export function readPolicies({ projection, policyText }: Approval) {
  const record = projection.ledger.registry.record('policy-set', 'active')
  const set = record?.value
  return {
    policy_set: set ?? null,
    version: record?.version ?? 0,
    files: (set === undefined ? undefined : policyText(set)) ?? null,
  }
}

/** Why a set cannot be proposed; undefined: a decision point would load it. */
export async function setProblem(
  trials: PolicyTrials,
  person: string,
  { files, permitsNothing }: { files: PolicyFiles; permitsNothing: boolean },
): Promise<string | undefined> {
  const { findings, loads, permits } = await trials.run(person, { do: 'check', files, permitsNothing, tests: {} })
  const error = findings.find(({ level }) => level === 'error')
  if (error !== undefined) return `policies: ${error.file}: ${error.message}`
  if (!loads) return 'policies: no decision point would load them'
  return permitsNothing && permits ? 'policies: they are said to permit nothing, and have a permit' : undefined
}

/** The call of an agent, with what the registry says of it. Throws `agent_unknown`. */
export function triedCall(
  { projection }: Approval,
  { agent: id, action, resource }: { agent: string; action: string; resource: { type: string; id: string } },
) {
  const { registry } = projection.ledger
  const agent: Agent | undefined = registry.get('agent', id) ?? registry.get('agent', agentIdOf(id))
  if (agent === undefined) throw new ServiceError('agent_unknown', id)
  const server = toolServerOf(resource)
  const described = server === undefined ? undefined : registry.get('tool-server', server)
  const labels = [...labelsOfTool(resource, { get: () => described })]
  const instance = agent.attestor.kind === 'registered_key' ? agent.attestor.keys[0]?.instance : undefined
  return {
    agent: { id: agent.id, instance: `${agent.id}/${instance ?? 'example'}`, owner: agent.owner, labels: agent.labels },
    action,
    resource: { ...resource, labels, server: server ?? '' },
  }
}
