import { isObject, type JsonObject } from '@bailiwick/mcp'
import {
  any,
  byType,
  flag,
  imageAt,
  inlineImage,
  limit,
  listOf,
  modelName,
  no,
  oneOf,
  only,
  originOf,
  placesOf,
  type Reading,
  type Rule,
  type Rules,
  textOr,
} from './reading.ts'

// Every member of a request for /v1/messages, and of one for /v1/messages/count_tokens, which has fewer.

/** A cache of one hour costs more than the table's `cache_write`. */
const cached: Rule = (value, reading, member) => {
  if (!isObject(value)) return reading.refuse('model_request_malformed', member)
  reading.cache = true
  reading.members(value, { type: only('ephemeral'), ttl: only('5m') }, `${member}.`)
}
const read = (rules: Rules) => (item: JsonObject, reading: Reading, member: string) =>
  reading.members(item, { type: any, cache_control: cached, ...rules }, `${member}.`)
const text = read({ text: any, citations: any })

/** An image or a document: `base64` and `text` stand in the request, the others are fetched by the provider. */
const source =
  (isImage: boolean): Rule =>
  (value, reading, member) => {
    if (!isObject(value)) return reading.refuse('model_request_malformed', member)
    const { type, data, url, file_id } = value
    oneOf(value, ['data', 'url', 'file_id', 'content'], reading, member)
    reading.members(
      value,
      { type: any, media_type: any, data: any, url: any, file_id: any, content: textOr(blocks) },
      `${member}.`,
    )
    if (type === 'base64' && isImage) inlineImage(data, reading, member)
    else if (type === 'url' && isImage) imageAt(url, reading, member)
    else if (type === 'base64') reading.beyond('file_data')
    else if (type === 'url') reading.beyond('file_url', originOf(url))
    else if (type === 'file') reading.beyond('file_id', file_id)
    else if (type !== 'text' && type !== 'content') reading.refuse('model_member_refused', member)
  }

const blocks: Rule = listOf(
  byType({
    text,
    image: read({ source: source(true) }),
    document: read({ source: source(false), title: any, context: any, citations: any }),
    search_result: read({
      content: (value, ...rest) => blocks(value, ...rest),
      source: any,
      title: any,
      citations: any,
    }),
    thinking: read({ thinking: any, signature: any }),
    redacted_thinking: read({ data: any }),
    tool_use: read({ id: any, name: any, input: any, caller: any }),
    tool_result: read({ tool_use_id: any, is_error: any, content: (value, ...rest) => textOr(blocks)(value, ...rest) }),
  }),
)

/** Tools of these types run at the client, although the provider defines them. */
const ownTypes = /^(custom|(bash|text_editor|computer|memory)_\d{8})$/

/** Both endpoints have these. */
export const countRules: Rules = {
  model: modelName,
  messages: listOf((item, reading, member) =>
    reading.members(item, { role: only('user', 'assistant', 'system'), content: textOr(blocks) }, `${member}.`),
  ),
  system: textOr(listOf(byType({ text }))),
  tools: listOf((tool, reading, member) => {
    const { type = 'custom', cache_control } = tool
    if (cache_control !== undefined && cache_control !== null) cached(cache_control, reading, `${member}.cache_control`)
    if (typeof type !== 'string') reading.refuse('model_request_malformed', member)
    else if (ownTypes.test(type)) reading.tools.add(type.replace(/_\d{8}$/, ''))
    else reading.beyond(type.replace(/_\d{8}$/, ''), ...placesOf(tool))
  }),
  mcp_servers: listOf(({ url }, reading) => reading.beyond('mcp_servers', originOf(url))),
  tool_choice: any,
  thinking: any,
  output_config: any,
  output_format: any,
  cache_control: cached,
  container: no,
  context_management: no,
}

export const messagesRules: Rules = {
  ...countRules,
  max_tokens: limit,
  stream: flag((reading, value) => {
    reading.stream = value
  }),
  service_tier: only('standard_only'),
  metadata: any,
  stop_sequences: any,
  temperature: any,
  top_k: any,
  top_p: any,
}
