// The fixture's tools and prompt that ask by `input_required` (revision 2026-07-28).
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  inputRequired,
  inputResponse,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import { said, text } from './fixture-tools.mjs'

/** Seals what a client carries from one round to the next: it may not be changed on the way. */
export const requestState = createRequestStateCodec({ key: 'a key of the conformance fixture, 32 bytes or more' })

const ask = (message, field) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [field]: { type: 'string' } }, required: [field] },
  })
const sample = (question, maxTokens) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: text(question) }], maxTokens })
const confirm = () =>
  inputRequired.elicit({
    message: 'Please confirm',
    requestedSchema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
  })

export function registerInputTools(server) {
  const tool = (name, description, answer) => server.registerTool(name, { description }, answer)
  /** The response to one question, or undefined if there is none that fits. */
  const answered = (context, key, schema) => acceptedContent(context.mcpReq.inputResponses, key, schema)
  const given = (context, key, kind) => {
    const response = inputResponse(context.mcpReq.inputResponses, key)
    return response.kind === kind ? response : undefined
  }

  tool('test_input_required_result_elicitation', 'Asks for a name', (context) => {
    const name = answered(context, 'user_name', z.object({ name: z.string() }))?.name
    if (name === undefined) return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } })
    return said(`Hello, ${name}!`)
  })
  tool('test_input_required_result_sampling', "Asks the client's model", (context) => {
    const response = given(context, 'capital_question', 'sampling')
    if (response) return said(JSON.stringify(response))
    return inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?', 100) } })
  })
  tool('test_input_required_result_list_roots', "Asks for the client's roots", (context) => {
    const response = given(context, 'client_roots', 'roots')
    if (response) return said(JSON.stringify(response))
    return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
  })
  for (const name of ['test_input_required_result_request_state', 'test_input_required_result_tampered_state']) {
    tool(name, 'Asks for a confirmation and carries state', async (context) => {
      const state = context.mcpReq.requestState()
      if (state && answered(context, 'confirm', z.object({ ok: z.boolean() }))) return said(`state-ok ${state.round}`)
      return inputRequired({
        inputRequests: { confirm: confirm() },
        requestState: await requestState.mint({ round: 1 }),
      })
    })
  }
  tool('test_input_required_result_multiple_inputs', 'Asks three questions at once', async (context) => {
    const name = answered(context, 'user_name', z.object({ name: z.string() }))
    if (context.mcpReq.requestState() && name) return said(`Hello, ${name.name}!`)
    return inputRequired({
      inputRequests: {
        user_name: ask('What is your name?', 'name'),
        greeting: sample('Generate a greeting', 50),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await requestState.mint({ round: 1 }),
    })
  })
  tool('test_input_required_result_multi_round', 'Asks twice, one question after the other', async (context) => {
    const state = context.mcpReq.requestState()
    const name = answered(context, 'step1', z.object({ name: z.string() }))?.name
    const color = answered(context, 'step2', z.object({ color: z.string() }))?.color
    if (state?.round === 2 && color !== undefined) return said(`${state.name} likes ${color}`)
    if (state?.round === 1 && name !== undefined)
      return inputRequired({
        inputRequests: { step2: ask('Step 2: What is your favorite color?', 'color') },
        requestState: await requestState.mint({ round: 2, name }),
      })
    return inputRequired({
      inputRequests: { step1: ask('Step 1: What is your name?', 'name') },
      requestState: await requestState.mint({ round: 1 }),
    })
  })
  tool('test_input_required_result_capabilities', 'Asks only what the client can answer', (context) => {
    const can = context.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? {}
    return inputRequired({
      inputRequests: {
        ...(can.sampling && { greeting: sample('Generate a greeting', 50) }),
        ...(can.elicitation && { user_name: ask('What is your name?', 'name') }),
        ...(can.roots && { client_roots: inputRequired.listRoots() }),
      },
    })
  })
  // The SDK refuses a question that the client did not declare, with MissingRequiredClientCapabilityError.
  tool('test_missing_capability', "Needs the client's model", () =>
    inputRequired({ inputRequests: { greeting: sample('Generate a greeting', 50) } }),
  )
  tool('test_streaming_elicitation', 'Asks on a stream', async (context) => {
    const name = answered(context, 'user_name', z.object({ name: z.string() }))?.name
    if (name !== undefined) return said(`Hello, ${name}!`)
    await context.mcpReq.log('info', 'About to ask')
    return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } })
  })
  server.registerPrompt('test_input_required_result_prompt', { description: 'Asks for its context' }, (context) => {
    const found = answered(context, 'user_context', z.object({ context: z.string() }))?.context
    if (found === undefined)
      return inputRequired({ inputRequests: { user_context: ask('What context should the prompt use?', 'context') } })
    return { messages: [{ role: 'user', content: text(`Context: ${found}`) }] }
  })
}
