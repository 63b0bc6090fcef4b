import type { Action } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { Health, httpServer, logger as makeLogger, metrics } from '@bailiwick/host'
import { type Clock, systemClock, systemRandom } from '@bailiwick/kit'
import {
  bailiwickPep,
  type GuardedHandler,
  memoryOutcomeStore,
  type OutcomeStore,
  openEnforcementPoint,
} from '@bailiwick/pep'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import type { RunningSystem } from '@bailiwick/testkit'
import { z } from 'zod'

/** The invoices, and how often each effect really happened: a denial must leave them unchanged. */
export class InvoiceLedger {
  readonly effects = { read: 0, adjust: 0, delete: 0 }
  readonly #invoices = new Map<string, { cents: bigint; currency: string }>(
    Array.from({ length: 40 }, (_, n) => [`INV-${n + 1}`, { cents: 100_000n + BigInt(n) * 1_250n, currency: 'EUR' }]),
  )

  read(invoice: string): { invoice: string; amount: string; currency: string } | undefined {
    const found = this.#invoices.get(invoice)
    if (!found) return undefined
    this.effects.read++
    return { invoice, amount: decimal(found.cents), currency: found.currency }
  }

  adjust(invoice: string, amount: string, currency: string): { invoice: string; amount: string } | undefined {
    const found = this.#invoices.get(invoice)
    if (!found || found.currency !== currency) return undefined
    this.effects.adjust++
    found.cents -= cents(amount)
    return { invoice, amount: decimal(found.cents) }
  }

  delete(invoice: string): boolean {
    if (!this.#invoices.delete(invoice)) return false
    this.effects.delete++
    return true
  }
}

const cents = (amount: string): bigint => {
  const [whole = '0', fraction = ''] = amount.split('.')
  return BigInt(whole) * 100n + BigInt(fraction.padEnd(2, '0'))
}
const decimal = (value: bigint): string => `${value / 100n}.${String(value % 100n).padStart(2, '0')}`

const invoiceSchema = z.string().regex(/^INV-\d{1,6}$/)
const argumentSchemas = {
  read: z.strictObject({ invoice: invoiceSchema }),
  adjust: z.strictObject({
    invoice: invoiceSchema,
    amount: z.string().regex(/^(0|[1-9]\d{0,11})(\.\d{1,2})?$/),
    currency: z.string().regex(/^[A-Z]{3}$/),
  }),
  delete: z.strictObject({ invoice: invoiceSchema }),
}
type Tool = keyof typeof argumentSchemas

export interface InvoicesApiOptions {
  /** In memory unless given. */
  store?: OutcomeStore
  /** The machine's, unless given. */
  clock?: Clock
  /** Evidence's address, to which each outcome is also reported; none unless given. */
  evidenceUrl?: string
  /** The connection to the PDP. */
  fetch?: typeof fetch
  /** How long it waits for an answer of the PDP. */
  timeoutMs?: number
  /** Hostile code in this API: it can change a request's arguments after the PDP has answered, before they are executed. */
  tamper?: (args: Record<string, unknown>) => void
}

export interface InvoicesApi extends AsyncDisposable {
  url: string
  ledger: InvoiceLedger
  /** Resolves once the PDP has every outcome. */
  delivered(): Promise<void>
}

/** The sample world's small API with real effects: POST /read, /adjust, /delete, each the tool of that name, each guarded. */
export async function startInvoicesApi(
  { data, trust, url: pdpUrl, invoicesUrl: url }: Pick<RunningSystem, 'data' | 'trust' | 'url' | 'invoicesUrl'>,
  {
    tamper,
    store = memoryOutcomeStore(),
    timeoutMs,
    evidenceUrl,
    clock = systemClock,
    fetch: reach = fetch,
  }: InvoicesApiOptions = {},
): Promise<InvoicesApi> {
  const logger = makeLogger({ service: 'invoices-api', level: 'silent' })
  const ledger = new InvoiceLedger()
  const bodies = new Map<unknown, Record<string, unknown>>()
  await using started = new AsyncDisposableStack()
  const point = started.use(
    await openEnforcementPoint({
      id: sample.enforcementPoint,
      trust,
      callerKey: sampleKey(data, 'point-caller'),
      outcomeKey: sampleKey(data, 'point-outcome'),
      pdpUrl,
      ...(evidenceUrl === undefined ? {} : { evidenceUrl }),
      store,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      fetch: tamper ? tamperingFetch(bodies, tamper) : reach,
      now: () => clock.now(),
      random: systemRandom,
      onProblem: (err) => logger.warn({ err }, 'an outcome could not be reported'),
    }),
  )
  const http = await httpServer({
    logger,
    clock,
    health: new Health(),
    metrics: metrics({ service: 'invoices-api', processMetrics: false }),
    random: systemRandom,
  })
  started.defer(() => http.close())
  const toolOf = (path: string | undefined): Tool => z.enum(['read', 'adjust', 'delete']).parse(path?.slice(1))
  const guarded = bailiwickPep(http, {
    point,
    baseUrl: url,
    toAction(request): Action {
      const tool = toolOf(request.routeOptions.url)
      const args = argumentSchemas[tool].safeParse(request.body)
      if (!args.success) throw new ServiceError('request_malformed', `${tool}: the arguments are not as they should be`)
      if (tamper) bodies.set(request.headers.dpop, request.body as Record<string, unknown>)
      return {
        name: 'tools/call',
        properties: args.data,
        resource: { type: 'tool', id: `${sample.toolServer}/${tool}` },
      }
    },
  })
  const unknown = () => new ServiceError('entity_unknown', 'there is no such invoice')
  const handlers: Record<Tool, GuardedHandler> = {
    read: async ({ action }) => {
      const { invoice } = argumentSchemas.read.parse(action.properties)
      const found = ledger.read(invoice)
      if (!found) throw unknown()
      return found
    },
    adjust: async ({ action }) => {
      const { invoice, amount, currency } = argumentSchemas.adjust.parse(action.properties)
      const adjusted = ledger.adjust(invoice, amount, currency)
      if (!adjusted) throw unknown()
      return adjusted
    },
    delete: async ({ action }) => {
      if (!ledger.delete(argumentSchemas.delete.parse(action.properties).invoice)) throw unknown()
      return { deleted: true }
    },
  }
  for (const [tool, handler] of Object.entries(handlers)) http.post(`/${tool}`, guarded(handler))
  await http.listen({ port: Number(new URL(url).port) })
  const owned = started.move()
  return { url, ledger, delivered: () => point.delivered(), [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Changes a call's arguments as soon as the PDP has answered about them. */
function tamperingFetch(
  bodies: Map<unknown, Record<string, unknown>>,
  tamper: (args: Record<string, unknown>) => void,
): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init)
    if (String(input).endsWith('/access/v1/evaluation')) {
      const { proof } = JSON.parse(String(init?.body)).context.bailiwick
      const body = bodies.get(proof)
      bodies.delete(proof)
      if (body) tamper(body)
    }
    return response
  }
}
