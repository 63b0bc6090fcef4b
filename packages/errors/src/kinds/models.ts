import type { ErrorKind } from './error-kind.ts'

/** Calls of models that the gateway refuses before anything is decided. Nothing of them reaches the provider. */
export const modelErrors = {
  model_endpoint_unknown: {
    status: 404,
    retryable: false,
    title: 'The provider is not reached at this path',
    cause: 'The method and path are none of those that the gateway can price, or the path has a query.',
    fix: 'Use `/v1/chat/completions`, `/v1/responses` or `/v1/models` of an OpenAI-shaped provider, or `/v1/messages` and `/v1/messages/count_tokens` of an Anthropic-shaped one.',
  },
  model_request_malformed: {
    status: 400,
    retryable: false,
    title: 'The request does not say for certain what it asks a model for',
    cause:
      'A member has a value of another type, two members state the limit of output, or the limit is no whole number from 1. `detail` names the member.',
    fix: 'Correct the member. Send one limit of output.',
  },
  model_member_refused: {
    status: 400,
    retryable: false,
    title: 'The request has a member whose cost or reach the gateway cannot bound',
    cause:
      'The gateway does not know the member, or it asks for more than one answer (`n`, `best_of`), another tier, work in the background, or something that the provider keeps (`previous_response_id`, `prompt`). `detail` names it.',
    fix: 'Leave the member out, and send the whole conversation in the request.',
  },
  model_unknown: {
    status: 404,
    retryable: false,
    title: 'The model has no price',
    cause: 'The table of prices of this provider does not name the model.',
    fix: 'Use a model of the table, or add its price to the table and have people approve it.',
  },
  model_outside_unpriced: {
    status: 400,
    retryable: false,
    title: 'The request reaches beyond the model, and the table has no price for that',
    cause:
      'The request has a tool that the provider runs, a file, an image, or asks for a cache, and the table of prices names no most that it can cost. `detail` names its kind.',
    fix: 'Do without it, or add its price to the table and have people approve it.',
  },
  model_cost_not_counted: {
    status: 403,
    retryable: false,
    title: 'No budget bounds what the call costs',
    cause:
      'A permission of the grant covers the call without `cost`, or with other pointers, so that no budget would bound it. Or an answer under the grant cost more than was reserved for it.',
    fix: 'Ask for a grant whose permissions for models have `cost: { amount: /cost/amount, currency: /cost/currency }`.',
  },
} as const satisfies Record<string, ErrorKind>
