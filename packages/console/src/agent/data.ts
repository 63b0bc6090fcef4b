import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { api, query } from '../api.ts'
import type { Events, ListGrantsAnswer, ListRequestsAnswer, ReadAgentAnswer, Touched } from '../types.ts'
import type { Range } from '../ui/pages.ts'
import { sinceStop } from './since.ts'
import type { Span } from './span.ts'

/** How often the page asks for recent events again. Evidence has no stream. */
const againMs = 5000
/** Pages that are fetched again. A person who reads further back does not look at recent events. */
const mostLivePages = 2

export const agentPath = (id: string): string => `/agents/${encodeURIComponent(id)}`

export const useAgent = (id: string) =>
  useQuery({ queryKey: ['agents', 'one', id], queryFn: () => api<ReadAgentAnswer>(agentPath(id)) })

export const useTouched = (agent: string, span: Span | undefined, everyMs = againMs) =>
  useQuery({
    queryKey: ['touched', agent, span?.name],
    enabled: span !== undefined,
    placeholderData: keepPreviousData,
    queryFn: () => api<Touched>(`/evidence/touched${query({ agent, ...span?.times() })}`),
    staleTime: everyMs / 2,
    refetchInterval: span?.isLive ? everyMs : false,
  })

/** The calls to list: all, denied ones, or those of one task. */
export interface CallFilter {
  type: 'decision' | 'decision.allowed' | 'decision.denied'
  task?: string | undefined
}

export const callsQuery = (
  agent: string,
  { type, task }: CallFilter,
  span: Span | undefined,
  cursor: string,
  limit: number,
) => `/evidence/events${query({ agent, type, task, ...span?.times(), cursor, limit: String(limit) })}`

export const useCalls = (agent: string, filter: CallFilter, span: Span | undefined) =>
  useInfiniteQuery({
    queryKey: ['calls', agent, span?.name, filter.type, filter.task],
    enabled: span !== undefined,
    initialPageParam: '',
    queryFn: ({ pageParam }) => api<Events>(callsQuery(agent, filter, span, pageParam, 50)),
    getNextPageParam: ({ next }) => next,
    refetchInterval: ({ state }) =>
      span?.isLive && (state.data?.pages.length ?? 0) <= mostLivePages ? againMs : false,
  })

/**
 * The ALLOWs and the denials since a time, as many of each as one answer has. Evidence finds the ALLOWs of an agent by its index, so that no
 * number of denials hides one.
 */
export const useSince = (agent: string, from: string | undefined) =>
  useQuery({
    queryKey: ['calls', agent, 'since', from],
    enabled: from !== undefined,
    queryFn: async () => {
      const of = (type: CallFilter['type']) =>
        api<Events>(`/evidence/events${query({ agent, type, from, limit: '100' })}`)
      const [allowed, denied] = await Promise.all([of('decision.allowed'), of('decision.denied')])
      return sinceStop(allowed, denied)
    },
    refetchInterval: againMs,
  })

export const usePastAnswers = (agent: string) =>
  useQuery({
    queryKey: ['requests', 'answers of', agent],
    queryFn: () => api<ListRequestsAnswer>(`/requests${query({ state: 'answered', agent })}`),
  })

export const grantsOf = (agent: string, range: Range) =>
  api<ListGrantsAnswer>(`/grants${query({ state: 'all', agent, ...range })}`)

/** The newest ALLOWs of one grant. */
export const useGrantCalls = (grant: string | undefined, isLive: boolean) =>
  useQuery({
    queryKey: ['calls', 'of grant', grant],
    enabled: grant !== undefined,
    queryFn: () => api<Events>(`/evidence/events${query({ id: grant, type: 'decision.allowed', limit: '200' })}`),
    refetchInterval: isLive ? againMs : false,
  })
