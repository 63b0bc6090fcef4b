import { isObject, type JsonObject } from '@bailiwick/mcp'
import {
  any,
  byType,
  flag,
  imageAt,
  limit,
  listOf,
  modelName,
  no,
  oneOf,
  only,
  originOf,
  placesOf,
  type Reading,
  type Rules,
  textOr,
} from './reading.ts'

// Every member of a request for /v1/responses. An answer that is kept and continued (`previous_response_id`, `conversation`, `prompt`,
// `item_reference`) has input that is not in the request, so its cost has no bound. One in the background ends after its call.

const plain: Rules = { type: any, text: any, refusal: any, annotations: any, logprobs: any }
const part = (item: JsonObject, reading: Reading, member: string) => reading.members(item, plain, `${member}.`)

const parts = listOf(
  byType({
    input_text: part,
    output_text: part,
    summary_text: part,
    reasoning_text: part,
    text: part,
    refusal: part,
    input_image: (item, reading, member) => {
      reading.members(item, { type: any, image_url: any, file_id: any, detail: any }, `${member}.`)
      oneOf(item, ['file_id', 'image_url'], reading, member)
      if (typeof item.file_id === 'string') reading.beyond('file_id', item.file_id)
      else imageAt(item.image_url, reading, `${member}.image_url`)
    },
    input_file: (item, reading, member) => {
      reading.members(item, { type: any, file_id: any, file_url: any, file_data: any, filename: any }, `${member}.`)
      oneOf(item, ['file_id', 'file_url', 'file_data'], reading, member)
      if (typeof item.file_url === 'string') reading.beyond('file_url', originOf(item.file_url))
      else if (typeof item.file_data === 'string') reading.beyond('file_data')
      else reading.beyond('file_id', item.file_id)
    },
  }),
)

const message: Rules = {
  type: any,
  id: any,
  status: any,
  phase: any,
  role: only('system', 'developer', 'user', 'assistant'),
  content: textOr(parts),
}
const called: Rules = {
  type: any,
  id: any,
  status: any,
  call_id: any,
  name: any,
  namespace: any,
  arguments: any,
  input: any,
  action: any,
}
const output: Rules = { type: any, id: any, status: any, call_id: any, output: textOr(parts) }
const reasoning: Rules = { type: any, id: any, status: any, summary: parts, content: parts, encrypted_content: any }

const read = (rules: Rules) => (item: JsonObject, reading: Reading, member: string) =>
  reading.members(item, rules, `${member}.`)
const ofType = byType({
  message: read(message),
  function_call: read(called),
  function_call_output: read(output),
  custom_tool_call: read(called),
  custom_tool_call_output: read(output),
  local_shell_call: read(called),
  local_shell_call_output: read(output),
  reasoning(each, reading, member) {
    read(reasoning)(each, reading, member)
    // Without it, the provider looks up what it kept under the id.
    if (typeof each.encrypted_content !== 'string' || each.encrypted_content === '')
      reading.refuse('model_member_refused', `${member}: reasoning`)
  },
})
/** Members that say nothing of their own: with these alone, the provider looks up what it kept under the id. */
const bare: ReadonlySet<string> = new Set(['type', 'id', 'status', 'phase', 'role'])
const isThere = (value: unknown) => value !== undefined && value !== null && value !== '' && !isEmpty(value)
const isEmpty = (value: unknown) => Array.isArray(value) && value.length === 0

function item(each: JsonObject, reading: Reading, member: string): void {
  // Without a type it is a message, or a reference to an item: only the rest of it says which.
  const isMessage = each.type === undefined || each.type === null || each.type === 'message'
  const rule = isMessage ? read(message) : ofType
  rule(each, reading, member)
  const says = Object.entries(each).some(([name, value]) => !bare.has(name) && isThere(value))
  if (!says || (isMessage && (!isThere(each.role) || !isThere(each.content))))
    reading.refuse('model_member_refused', `${member}: an item by its id`)
}

/** Tools that the client runs itself. All others run at the provider, or call a server from there. */
const ownTools: ReadonlySet<unknown> = new Set(['function', 'custom', 'local_shell'])

function tool(each: JsonObject, reading: Reading, member: string): void {
  const { type } = each
  if (ownTools.has(type)) reading.tools.add(String(type))
  else if (type === 'namespace') namespace(each, reading, member)
  else if (typeof type === 'string') {
    reading.beyond(type.replace(/_\d{4}_\d\d_\d\d$/, ''), ...placesOf(each))
    // A container by its id is one that someone else may have filled.
    if (typeof each.container === 'string') reading.refuse('model_member_refused', `${member}.container`)
  } else reading.refuse('model_request_malformed', member)
}

/** A name for a group of tools. Only the tools in it say who runs them. */
function namespace(group: JsonObject, reading: Reading, member: string): void {
  reading.members(group, { type: any, name: any, description: any, tools: any }, `${member}.`)
  listOf(tool)(group.tools, reading, `${member}.tools`)
}

export const responsesRules: Rules = {
  model: modelName,
  input: textOr(listOf(item)),
  instructions: any,
  max_output_tokens: limit,
  stream: flag((reading, value) => {
    reading.stream = value
  }),
  stream_options: (value, reading, member) => {
    if (!isObject(value)) return reading.refuse('model_request_malformed', member)
    reading.members(value, { include_obfuscation: flag(() => undefined) }, `${member}.`)
  },
  tools: listOf(tool),
  tool_choice: any,
  parallel_tool_calls: any,
  max_tool_calls: any,
  include: (value, reading, member) => {
    const known = ['reasoning.encrypted_content', 'message.output_text.logprobs']
    if (!Array.isArray(value) || value.some((each) => !known.includes(each)))
      reading.refuse('model_member_refused', member)
  },
  store: flag((reading, value) => {
    reading.store = value
  }),
  background: only(false),
  service_tier: only('default'),
  truncation: any,
  reasoning: any,
  text: any,
  temperature: any,
  top_p: any,
  top_logprobs: any,
  metadata: any,
  client_metadata: any,
  user: any,
  safety_identifier: any,
  prompt_cache_key: any,
  previous_response_id: no,
  conversation: no,
  prompt: no,
}
