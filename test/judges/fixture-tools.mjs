// The fixture's tools that answer by themselves, and those that ask the client in the middle of a call (the older revision).
import { setTimeout as pause } from 'node:timers/promises'
import { fromJsonSchema } from '@modelcontextprotocol/server'
import { z } from 'zod'

export const text = (value) => ({ type: 'text', text: value })
export const said = (value) => ({ content: [text(value)] })

/** A red pixel. */
export const image = {
  type: 'image',
  mimeType: 'image/png',
  data: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==',
}

/** No sample at all: a header of 44 bytes. */
const audio = {
  type: 'audio',
  mimeType: 'audio/wav',
  data: 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=',
}

const embedded = (uri, mimeType, value) => ({ type: 'resource', resource: { uri, mimeType, text: value } })

/** No released protocol knows this member: a gateway that re-serves through an SDK loses it, one that proxies bytes does not. */
const unknownMember = { 'x-bailiwick-unknown': { kept: [1, 'two', null] } }

const stepMs = 50

export function registerTools(server, notify) {
  const tool = (name, description, answer) => server.registerTool(name, { description }, answer)

  // First, because scenarios call the first tool of the list without arguments.
  tool('test_simple_text', 'Answers with a text', () => ({
    ...said('This is a simple text response for testing.'),
    ...unknownMember,
  }))
  tool('test_image_content', 'Answers with an image', () => ({ content: [image] }))
  tool('test_audio_content', 'Answers with audio', () => ({ content: [audio] }))
  tool('test_embedded_resource', 'Answers with a resource', () => ({
    content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
  }))
  tool('test_multiple_content_types', 'Answers with contents of several types', () => ({
    content: [
      text('Multiple content types test:'),
      image,
      embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  }))
  tool('test_error_handling', 'Always fails', () => {
    throw new Error('This tool intentionally returns an error for testing')
  })
  tool('test_tool_with_progress', 'Reports progress', async (context) => {
    const { progressToken } = context.mcpReq._meta ?? {}
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined)
        await context.mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 100 },
        })
      await pause(stepMs)
    }
    return said('Done')
  })
  const logs = async (context) => {
    for (const message of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await context.mcpReq.log('info', message)
      await pause(stepMs)
    }
    return said('Logged')
  }
  tool('test_tool_with_logging', 'Logs while it runs', logs)
  tool('test_logging_tool', 'Logs while it runs, if the request asks for it', logs)
  tool('test_reconnection', 'Closes its stream before it answers', async (context) => {
    context.http?.closeSSE?.()
    await pause(2 * stepMs)
    return said('Read after a reconnection')
  })
  tool('test_trigger_tool_change', 'Says that the tools changed', () => {
    notify.tools()
    return said('Said')
  })
  tool('test_trigger_prompt_change', 'Says that the prompts changed', () => {
    notify.prompts()
    return said('Said')
  })
  registerQuestions(server)
  registerSchemas(server)
}

/** Server-to-client requests of the older revision. */
function registerQuestions(server) {
  // On the call's own stream. `elicitInput` and `requestSampling` of the SDK use the client's GET stream, and the question is lost
  // when that one is not open yet.
  const ask = (context, method, params) => context.mcpReq.send({ method, params })
  const elicit = async (context, message, properties, required) => {
    const schema = { type: 'object', properties, ...(required && { required }) }
    const { action, content } = await ask(context, 'elicitation/create', { message, requestedSchema: schema })
    return `action=${action}, content=${JSON.stringify(content ?? {})}`
  }
  server.registerTool(
    'test_sampling',
    { description: "Asks the client's model", inputSchema: z.object({ prompt: z.string() }) },
    async ({ prompt }, context) => {
      const messages = [{ role: 'user', content: text(prompt) }]
      const { content } = await ask(context, 'sampling/createMessage', { messages, maxTokens: 100 })
      return said(`LLM response: ${content.text}`)
    },
  )
  server.registerTool(
    'test_elicitation',
    { description: "Asks the client's user", inputSchema: z.object({ message: z.string() }) },
    async ({ message }, context) => {
      const username = { type: 'string', description: "User's response" }
      const email = { type: 'string', description: "User's email address" }
      return said(`User response: ${await elicit(context, message, { username, email }, ['username', 'email'])}`)
    },
  )
  server.registerTool('test_elicitation_sep1034_defaults', { description: 'Asks with defaults' }, async (context) => {
    const properties = {
      name: { type: 'string', default: 'John Doe' },
      age: { type: 'integer', default: 30 },
      score: { type: 'number', default: 95.5 },
      status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
      verified: { type: 'boolean', default: true },
    }
    return said(`Elicitation completed: ${await elicit(context, 'Please review the defaults', properties)}`)
  })
  server.registerTool('test_elicitation_sep1330_enums', { description: 'Asks with choices' }, async (context) => {
    const titled = [1, 2, 3].map((n) => ({ const: `value${n}`, title: `Choice ${n}` }))
    const options = ['option1', 'option2', 'option3']
    const properties = {
      untitledSingle: { type: 'string', enum: options },
      titledSingle: { type: 'string', oneOf: titled },
      legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['One', 'Two', 'Three'] },
      untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
      titledMulti: { type: 'array', items: { anyOf: titled } },
    }
    return said(`Elicitation completed: ${await elicit(context, 'Please choose', properties)}`)
  })
}

function registerSchemas(server) {
  const address = {
    $anchor: 'addressDef',
    type: 'object',
    properties: { street: { type: 'string' }, city: { type: 'string' } },
  }
  server.registerTool(
    'json_schema_2020_12_tool',
    {
      description: 'Has the vocabulary of JSON Schema 2020-12',
      inputSchema: fromJsonSchema({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        $defs: { address },
        properties: {
          name: { type: 'string' },
          address: { $ref: '#/$defs/address' },
          contactMethod: { type: 'string', enum: ['phone', 'email'] },
          phone: { type: 'string' },
          email: { type: 'string' },
        },
        allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
        if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
        // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
        then: { required: ['phone'] },
        else: { required: ['email'] },
        additionalProperties: false,
      }),
    },
    () => said('Accepted'),
  )
  server.registerTool(
    'test_header_parameter',
    {
      description: 'Has an argument that is mirrored in a header',
      inputSchema: fromJsonSchema({
        type: 'object',
        properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
        required: ['region'],
      }),
    },
    ({ region }) => said(`Region: ${region}`),
  )
}
