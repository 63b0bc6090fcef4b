import { useQuery } from '@tanstack/react-query'
import { lately, type SpanName } from '../agent/span.ts'
import { api, query } from '../api.ts'
import type { Activity } from '../types.ts'

const againMs = 60_000
const hourMs = 3_600_000

/** How often agents got ALLOW and DENY, by the hour. Both ends are hours that count whole. */
export const useActivity = (span: SpanName) =>
  useQuery({
    queryKey: ['activity', span],
    queryFn: () => {
      const { from, to } = lately(span).times()
      const begin = new Date(Date.parse(from) + hourMs).toISOString()
      return api<Activity>(`/evidence/activity${query({ from: begin, to })}`)
    },
    refetchInterval: againMs,
  })

export const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0)
