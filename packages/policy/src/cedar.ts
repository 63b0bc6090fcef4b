import { createRequire } from 'node:module'
import type * as Wasm from '@cedar-policy/cedar-wasm/nodejs'
import type { CheckParseAnswer, PolicySet, Schema } from '@cedar-policy/cedar-wasm/nodejs'

/*
 * The only access to Cedar. A policy nested too deeply for the wasm stack traps, and an instance that has trapped answers no more calls:
 * one policy would stop all others, of every set. So the instance is replaced at once. What the old instance kept under a name is given to
 * the new one when that name is next used.
 */

type Cedar = typeof Wasm

let instance = load()

function load(): Cedar {
  // A new `require` for each instance, because a module that it has loaded stays cached.
  const require = createRequire(import.meta.url)
  const file = require.resolve('@cedar-policy/cedar-wasm/nodejs')
  delete require.cache[file]
  return require(file) as Cedar
}

/** Throws what Cedar throws; for a trap, a sentence. */
function ask<T>(call: (cedar: Cedar) => T): T {
  try {
    return call(instance)
  } catch (cause) {
    if (!(cause instanceof Error) || !traps.has(cause.name)) throw cause
    instance = load()
    throw new Error('Cedar gave up, as it does on what is nested too deeply', { cause })
  }
}

/** Errors of WebAssembly, and of the stack below it. */
const traps: ReadonlySet<string> = new Set(['RuntimeError', 'RangeError'])

export const checkParseEntities: Cedar['checkParseEntities'] = (call) => ask((cedar) => cedar.checkParseEntities(call))
export const checkParseSchema: Cedar['checkParseSchema'] = (schema) => ask((cedar) => cedar.checkParseSchema(schema))
export const isAuthorizedPartial: Cedar['isAuthorizedPartial'] = (call) =>
  ask((cedar) => cedar.isAuthorizedPartial(call))
export const policySetTextToParts: Cedar['policySetTextToParts'] = (text) =>
  ask((cedar) => cedar.policySetTextToParts(text))
export const policyToJson: Cedar['policyToJson'] = (policy) => ask((cedar) => cedar.policyToJson(policy))
export const schemaToJsonWithResolvedTypes: Cedar['schemaToJsonWithResolvedTypes'] = (schema) =>
  ask((cedar) => cedar.schemaToJsonWithResolvedTypes(schema))
export const validate: Cedar['validate'] = (call) => ask((cedar) => cedar.validate(call))

/** Everything kept under a name, with the way to make it, and the instance that has it. */
class Kept<T> {
  readonly #put: (cedar: Cedar, name: string, made: T) => CheckParseAnswer
  readonly #named = new Map<string, { make: () => T; in: Cedar }>()

  constructor(put: (cedar: Cedar, name: string, made: T) => CheckParseAnswer) {
    this.#put = put
  }

  put(name: string, make: () => T): CheckParseAnswer {
    const answer = ask((cedar) => this.#put(cedar, name, make()))
    if (answer.type === 'success') this.#named.set(name, { make, in: instance })
    return answer
  }

  /** If the instance that held it was replaced, makes it again. */
  putBack(name: string): void {
    const known = this.#named.get(name)
    if (known !== undefined && known.in !== instance) this.put(name, known.make)
  }
}

const policySets = new Kept<PolicySet>((cedar, name, made) => cedar.preparsePolicySet(name, made))
const schemas = new Kept<Schema>((cedar, name, made) => cedar.preparseSchema(name, made))

/** `make` is called again after the instance was replaced, and must return the same each time. */
export const preparsePolicySet = (name: string, make: () => PolicySet): CheckParseAnswer => policySets.put(name, make)
/** Like `preparsePolicySet`. */
export const preparseSchema = (name: string, make: () => Schema): CheckParseAnswer => schemas.put(name, make)

export const statefulIsAuthorized: Cedar['statefulIsAuthorized'] = (call) => {
  policySets.putBack(call.preparsedPolicySetId)
  if (typeof call.preparsedSchemaName === 'string') schemas.putBack(call.preparsedSchemaName)
  return ask((cedar) => cedar.statefulIsAuthorized(call))
}
