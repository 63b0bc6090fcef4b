import { any, modelName, only, type Rules } from './reading.ts'

/** A list of tokens, each a number. A number is one token and takes at least one byte, so the bytes bound the tokens. */
const isTokens = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((token) => Number.isSafeInteger(token) && token >= 0)

// Every member of a request for /v1/embeddings. Its input is text or tokens, once or in a list; an object could be an image, or a file.
export const embeddingsRules: Rules = {
  model: modelName,
  input: (value, reading, member) => {
    const isOne = typeof value === 'string' || isTokens(value)
    const isList =
      Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string' || isTokens(each))
    if (!isOne && !isList) reading.refuse('model_request_malformed', member)
  },
  encoding_format: only('float', 'base64'),
  dimensions: any,
  user: any,
}
