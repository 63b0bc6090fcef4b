import { authoritySchema } from '@bailiwick/authority'
import { printable } from '@bailiwick/kit'
import { isReserved, type JsonObject } from '@bailiwick/mcp'
import { z } from 'zod'

export const requestAccess = 'bailiwick_request_access'
export const accessStatus = 'bailiwick_access_status'
export const completeTask = 'bailiwick_complete_task'

/** A tool of the server, or a method that is decided like one, such as `resources/read`. Never a prefix: a model names each tool. */
const toolForm = /^(?!\.{1,2}(\/|$))[A-Za-z0-9_.-]{1,128}(\/[A-Za-z]{1,32})?$/
const permission = authoritySchema.shape.permissions.element.shape

const permissionSchema = z.strictObject({
  tool: z
    .string()
    .regex(toolForm, 'not the name of a tool of this server')
    .refine((name) => !isReserved(name), 'a tool of Bailiwick itself needs no permission'),
  where: permission.where,
  cost: permission.cost,
  max_uses: permission.max_uses,
})

const askSchema = z.strictObject({
  task: authoritySchema.shape.task,
  permissions: z.array(permissionSchema).min(1).max(64),
  limits: z
    .strictObject({
      minutes: z.int().min(1).max(480).default(60),
      calls: z.int().min(1).max(100_000).default(100),
      cost: authoritySchema.shape.budget.unwrap().shape.cost,
    })
    .default({ minutes: 60, calls: 100 }),
  reason: z.string().min(1).max(500),
})

/** What a model asks for, as an authority that the agent can sign. */
export interface Ask {
  authority: { task: string; permissions: { resource: { id: string } }[] } & JsonObject
  seconds: number
  reason: string
}

/**
 * Reads the arguments of `bailiwick_request_access`. The model writes the task, its permissions, limits and reason; everything else of the
 * authority is ours: one action, tools of this server by name, no delegation. A member that the tool's schema does not show is refused, so
 * that text which made the model add one gains nothing. The model gets each fault as text.
 */
export function readAsk(server: string, args: JsonObject): Ask | { fault: string } {
  const read = askSchema.safeParse(args)
  if (!read.success) return { fault: read.error.issues.map(told).join('\n') }
  const { task, permissions, limits, reason } = read.data
  const words = reason.replaceAll(/\s+/g, ' ').trim()
  // Invisible characters and those that turn the direction of writing could make one text look like another to the human.
  if (words === '' || printable(words) !== words) return { fault: 'reason: only text that a human can see' }
  const { minutes, calls, cost } = limits
  return {
    authority: {
      type: 'bailiwick_task',
      task,
      permissions: permissions.map(({ tool, ...bounds }) => ({
        actions: ['tools/call'],
        resource: { type: 'tool', id: `${server}/${tool}` },
        ...bounds,
      })),
      budget: { calls, ...(cost === undefined ? {} : { cost }) },
      max_depth: 0,
      max_children: 0,
    },
    seconds: minutes * 60,
    reason: words,
  }
}

const told = ({ path, message }: z.core.$ZodIssue): string =>
  `${path.length === 0 ? 'arguments' : path.join('.')}: ${message}`

/** The tools that the sidecar itself has, as `tools/list` shows them. */
export const ownTools = (server: string): readonly JsonObject[] => [
  {
    name: requestAccess,
    title: 'Ask a human for a task',
    description:
      `Asks a human to let you use tools of "${server}" for one task. Call it before your first call, and when a call is denied. ` +
      'Ask for the least that the task needs, and for all of it at once: an approval replaces the task before it. ' +
      'The human is shown the task, each tool with its bounds, the limits, and your reason as your own words. ' +
      `Only the human decides, on another page. If the answer is still pending, call ${accessStatus} later.`,
    inputSchema: {
      type: 'object',
      additionalProperties: false,
      required: ['task', 'permissions', 'reason'],
      properties: {
        task: { type: 'string', minLength: 1, maxLength: 200, description: 'A short name of the task, in ASCII.' },
        permissions: {
          type: 'array',
          minItems: 1,
          maxItems: 64,
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['tool'],
            properties: {
              tool: { type: 'string', description: `The name of one tool of "${server}".` },
              where: {
                type: 'object',
                description:
                  'Bounds of arguments by JSON pointer, such as {"/amount": {"max": "500"}} or {"/path": {"prefix": "/srv/reports/"}}. ' +
                  'Comparisons: eq, in, min, max, prefix. Numbers are strings.',
              },
              cost: {
                type: 'object',
                additionalProperties: false,
                required: ['amount', 'currency'],
                properties: { amount: { type: 'string' }, currency: { type: 'string' } },
                description: 'The arguments that say what a call costs, by JSON pointer, if it costs something.',
              },
              max_uses: { type: 'integer', minimum: 1 },
            },
          },
        },
        limits: {
          type: 'object',
          additionalProperties: false,
          properties: {
            minutes: { type: 'integer', minimum: 1, maximum: 480, default: 60 },
            calls: { type: 'integer', minimum: 1, maximum: 100_000, default: 100 },
            cost: { type: 'object', description: 'The most that all calls may cost, such as {"EUR": "200.00"}.' },
          },
        },
        reason: { type: 'string', minLength: 1, maxLength: 500, description: 'Why, in your own words.' },
      },
    },
  },
  {
    name: accessStatus,
    title: 'Look at a request for access',
    description:
      'Says whether the human answered the last request, or the request that is named, and what the current task is.',
    inputSchema: {
      type: 'object',
      additionalProperties: false,
      properties: { request_id: { type: 'string' } },
    },
    annotations: { readOnlyHint: true },
  },
  {
    name: completeTask,
    title: 'End the task',
    description: 'Gives the current task back. Its permissions end at once. Call it when the task is done.',
    inputSchema: { type: 'object', additionalProperties: false, properties: {} },
  },
]
