import type { Api } from '../models/usage.ts'
import { countRules, messagesRules } from './anthropic-messages.ts'
import { chatRules } from './openai-chat.ts'
import { embeddingsRules } from './openai-embeddings.ts'
import { responsesRules } from './openai-responses.ts'
import type { Rules } from './reading.ts'

/** One endpoint of an API of models. All others are refused. */
export interface Endpoint {
  readonly method: 'POST' | 'GET'
  readonly path: string
  /** `embed`: it makes vectors, and its input alone costs. */
  readonly does: 'invoke' | 'embed' | 'count' | 'list'
  /** What its body may hold. */
  readonly rules: Rules
  /** The provider keeps an answer unless the request says that it should not. */
  readonly keeps?: true
}

const chat: Endpoint = { method: 'POST', path: '/v1/chat/completions', does: 'invoke', rules: chatRules }
const responses: Endpoint = {
  method: 'POST',
  path: '/v1/responses',
  does: 'invoke',
  rules: responsesRules,
  keeps: true,
}
const embeddings: Endpoint = { method: 'POST', path: '/v1/embeddings', does: 'embed', rules: embeddingsRules }
const messages: Endpoint = { method: 'POST', path: '/v1/messages', does: 'invoke', rules: messagesRules }
const count: Endpoint = { method: 'POST', path: '/v1/messages/count_tokens', does: 'count', rules: countRules }
const list: Endpoint = { method: 'GET', path: '/v1/models', does: 'list', rules: {} }

const endpoints: Record<Api, readonly Endpoint[]> = {
  openai: [chat, responses, embeddings, list],
  anthropic: [messages, count, list],
}

/** The endpoint of an API at a path, as received. */
export const endpointOf = (api: Api, method: string, target: string): Endpoint | undefined =>
  endpoints[api].find((each) => each.method === method && each.path === target)

/** Whether it is the one whose streams state their usage only if the request asks for it. */
export const isChat = ({ path }: Pick<Endpoint, 'path'>): boolean => path === chat.path

/** The member that limits the output, where a request states none. */
export const outputMember = (endpoint: Endpoint, ofChat: string): string =>
  isChat(endpoint) ? ofChat : endpoint === responses ? 'max_output_tokens' : 'max_tokens'
