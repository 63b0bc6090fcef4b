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
  placesOf,
  type Rules,
  textOr,
} from './reading.ts'

// Every member of a request for /v1/chat/completions. What stands here with `no`, and what does not stand here, is refused by its name: it
// would cost what no one reserved (`n`, `prediction`, a dearer tier), or refer to something that is not in the request.

const ofPart: Rules = { type: any, text: any, refusal: any }
const parts = listOf(
  byType({
    text: (part, reading, member) => reading.members(part, ofPart, `${member}.`),
    refusal: (part, reading, member) => reading.members(part, ofPart, `${member}.`),
    image_url: (part, reading, member) => {
      reading.members(part, { type: any, image_url: any }, `${member}.`)
      imageAt(isObject(part.image_url) ? part.image_url.url : undefined, reading, `${member}.image_url`)
    },
    file: (part, reading, member) => {
      reading.members(part, { type: any, file: any }, `${member}.`)
      const file: JsonObject = isObject(part.file) ? part.file : {}
      oneOf(file, ['file_id', 'file_data'], reading, `${member}.file`)
      if (typeof file.file_data === 'string') reading.beyond('file_data')
      else reading.beyond('file_id', file.file_id)
    },
  }),
)

const call: Rules = { id: any, type: only('function', 'custom'), function: any, custom: any, index: any }
const message: Rules = {
  role: only('system', 'developer', 'user', 'assistant', 'tool', 'function'),
  content: textOr(parts),
  name: any,
  refusal: any,
  tool_calls: listOf((item, reading, member) => reading.members(item, call, `${member}.`)),
  tool_call_id: any,
  function_call: any,
  reasoning_content: any,
  audio: no,
}

export const chatRules: Rules = {
  model: modelName,
  messages: listOf((item, reading, member) => reading.members(item, message, `${member}.`)),
  max_tokens: limit,
  max_completion_tokens: limit,
  stream: flag((reading, value) => {
    reading.stream = value
  }),
  stream_options: (value, reading, member) => {
    if (!isObject(value)) return reading.refuse('model_request_malformed', member)
    const wants = flag((to, is) => {
      to.wantsUsage = is
    })
    reading.members(value, { include_usage: wants, include_obfuscation: flag(() => undefined) }, `${member}.`)
  },
  tools: listOf((tool, reading, member) => {
    const { type } = tool
    if (type === 'function' || type === 'custom') reading.tools.add(type)
    else if (typeof type === 'string') reading.beyond(type, ...placesOf(tool))
    else reading.refuse('model_request_malformed', member)
  }),
  functions: listOf((_, reading) => void reading.tools.add('function')),
  function_call: any,
  tool_choice: any,
  parallel_tool_calls: any,
  web_search_options: (_, reading) => reading.beyond('web_search'),
  n: only(1),
  store: flag((reading, value) => {
    reading.store = value
  }),
  modalities: (value, reading, member) => {
    if (!Array.isArray(value) || value.some((each) => each !== 'text')) reading.refuse('model_member_refused', member)
  },
  service_tier: only('default'),
  response_format: any,
  reasoning_effort: any,
  verbosity: any,
  temperature: any,
  top_p: any,
  stop: any,
  seed: any,
  frequency_penalty: any,
  presence_penalty: any,
  logit_bias: any,
  logprobs: any,
  top_logprobs: any,
  metadata: any,
  user: any,
  safety_identifier: any,
  prompt_cache_key: any,
  best_of: no,
  prediction: no,
  audio: no,
}
